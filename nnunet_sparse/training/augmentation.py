"""nnU-Net's augmentation, changed where it loses annotation.

nnU-Net interpolates each label of a rotated or scaled patch, ``ignore`` like the others, and takes
the largest share. At the border of two classes each has a share of one half at most, so that
``ignore`` wins there although most of the neighbourhood is annotated: what is lost of a single
annotated plane are the borders.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform, SegOnlyTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import (
    DownsampleSegForDSTransform,
)
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform

from nnunet_sparse.training.patch_labels import MASKED_IGNORE, PADDING
from nnunet_sparse.training.settings import TrainingSettings
from nnunet_sparse.training.targets import downsample_annotated


def sparse_transforms(
    stock: ComposeTransforms, settings: TrainingSettings, ignore_label: int
) -> ComposeTransforms:
    """Replace the parts of nnU-Net's transforms that the settings ask for.

    Parameters
    ----------
    stock
        Transforms of a trainer of nnU-Net, for training or validation.
    settings
        ``padding``, ``label_interpolation`` and ``targets`` are read.
    ignore_label
        Label of voxels that are not annotated.

    Returns
    -------
    ComposeTransforms
        For patches whose label holds the values of :mod:`nnunet_sparse.training.patch_labels`.
    """
    known_padding = settings.padding == "background"
    transforms: list[BasicTransform] = []
    regions = None
    for transform in stock.transforms:
        if isinstance(transform, SpatialTransform):
            new: BasicTransform = _spatial(transform, settings, ignore_label)
        elif isinstance(transform, RemoveLabelTransform):
            new = ResolvePadding(ignore_label, 0 if known_padding else ignore_label)
        elif settings.targets == "annotated":
            if isinstance(transform, ConvertSegmentationToRegionsTransform):
                regions = transform
                continue
            if isinstance(transform, DownsampleSegForDSTransform):
                new = AnnotatedTargets(transform.ds_scales, ignore_label, regions)
                regions = None
            else:
                new = transform
        else:
            new = transform
        transforms.append(new)
    if regions is not None:
        transforms.append(regions)
    return ComposeTransforms(transforms)


def _spatial(
    stock: SpatialTransform, settings: TrainingSettings, ignore_label: int
) -> SpatialTransform:
    # where nnU-Net takes the nearest label, no border is lost
    aware = settings.label_interpolation == "annotated_first" and stock.mode_seg != "nearest"
    kind = AnnotationAwareSpatialTransform if aware else SpatialTransform
    new = kind.__new__(kind)
    new.__dict__.update(stock.__dict__)
    new.padding_value_seg = PADDING
    if aware:
        padding = {PADDING} if settings.padding == "ignore" else set()
        new.ignore_label = ignore_label
        new.unknown = frozenset({ignore_label, MASKED_IGNORE} | padding)
    return new


# shares are sums of a few float32 numbers
_TIE = 1e-4
# several in one call take half the time, but memory
_LABELS_AT_ONCE = 4


class AnnotationAwareSpatialTransform(SpatialTransform):  # type: ignore[misc]
    """nnU-Net's spatial transform, which decides first what is annotated, then its label.

    A voxel is annotated if the annotated voxels around its sampling point outweigh the others; its
    label is then the one with the largest share among the annotated. Ties go to the nearest voxel.

    Attributes
    ----------
    ignore_label
        Label of voxels that are not annotated.
    unknown
        All values of such voxels, ``ignore_label`` among them.
    """

    ignore_label: int
    unknown: frozenset[int]

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **params: Any) -> torch.Tensor:
        grid = params["grid"]
        if grid is None:
            cropped: torch.Tensor = super()._apply_to_segmentation(segmentation, **params)
            return cropped
        reaches_outside = self._may_reach_outside(grid, segmentation.shape[1:])
        return torch.stack([self._resample(label, grid, reaches_outside) for label in segmentation])

    def _resample(
        self, label: torch.Tensor, grid: torch.Tensor, reaches_outside: bool
    ) -> torch.Tensor:
        """Values of a label map (z, y, x) or (y, x) at the points of the grid."""
        counts = torch.bincount((label - MASKED_IGNORE).flatten())
        values = [value + MASKED_IGNORE for value in counts.nonzero()[:, 0].tolist()]
        if reaches_outside and PADDING not in values:
            values = sorted([*values, PADDING])
        if len(values) == 1:
            return torch.full(grid.shape[:-1], values[0], dtype=label.dtype)
        # shifted, because points outside read as 0
        nearest = self._sample((label - PADDING)[None], grid, "nearest")[0].to(label.dtype)
        nearest += PADDING
        known = [value for value in values if value not in self.unknown]
        if not known:
            return nearest
        winner, best, total = nearest, torch.zeros(grid.shape[:-1]), torch.zeros(grid.shape[:-1])
        of_nearest = torch.zeros(grid.shape[:-1])
        for start in range(0, len(known), _LABELS_AT_ONCE):
            some = torch.tensor(known[start : start + _LABELS_AT_ONCE], dtype=label.dtype)
            column = some.view(-1, *[1] * label.ndim)
            indicators = label == column
            has_padding = known[start] == PADDING
            if has_padding:
                # points outside read as 0, and are padding
                indicators[0].logical_not_()
            shares = self._sample(indicators, grid, self.mode_seg)
            if has_padding:
                shares[0] = 1 - shares[0]
            total += shares.sum(0)
            of_nearest += (shares * (nearest == column)).sum(0)
            share, index = shares.max(0)
            winner = torch.where(share > best, some[index], winner)
            best = torch.maximum(best, share)
        near = of_nearest > 0
        winner = torch.where(near & (of_nearest >= best - _TIE), nearest, winner)
        if len(known) == len(values):
            return winner
        annotated = total > torch.where(near, 0.5 - _TIE, 0.5 + _TIE)
        return torch.where(annotated, winner, torch.where(near, self.ignore_label, nearest))

    def _sample(self, values: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
        """Channels (channel, z, y, x) or (channel, y, x) at the points of the grid."""
        return F.grid_sample(
            values[None].float(),
            grid[None],
            mode=mode,
            padding_mode="zeros",
            align_corners=self.align_corners,
        )[0]


class ResolvePadding(SegOnlyTransform):  # type: ignore[misc]
    """Give the voxels that nnU-Net marks with negative values their targets.

    Parameters
    ----------
    ignore_label
        Target of masked voxels that are not annotated.
    padding_target
        Target of voxels outside the image.
    """

    def __init__(self, ignore_label: int, padding_target: int) -> None:
        super().__init__()
        self.ignore_label = ignore_label
        self.padding_target = padding_target

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **_: Any) -> torch.Tensor:
        label = segmentation[0]
        label[label == MASKED_IGNORE] = self.ignore_label
        label[label == PADDING] = self.padding_target
        # masked background; the further channels are predictions of a previous stage
        return segmentation.clamp_(min=0)


# more do not stay in the processor's cache, and every label of one map is counted in all
_PIXELS_AT_ONCE = 2**17


class AnnotatedTargets(SegOnlyTransform):  # type: ignore[misc]
    """Targets of all outputs, with the annotation kept at low resolution.

    Parameters
    ----------
    scales
        Size of each target as a share of the patch, for each axis.
    ignore_label
        Label of voxels that are not annotated.
    regions
        Turns a label map into regions, if the network predicts these.
    """

    def __init__(
        self,
        scales: Sequence[Sequence[float]],
        ignore_label: int,
        regions: ConvertSegmentationToRegionsTransform | None,
    ) -> None:
        super().__init__()
        self.scales = scales
        self.ignore_label = ignore_label
        self.regions = regions

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **_: Any) -> list[torch.Tensor]:
        targets = downsample_annotated(segmentation[:1], self.scales, self.ignore_label)
        if self.regions is None:
            return targets
        return [self.regions._apply_to_segmentation(target) for target in targets]

    def of_batch(self, segmentations: torch.Tensor) -> list[torch.Tensor]:
        """Targets (batch, 1, *size) of many label maps (batch, 1, *patch); without regions only."""
        maps = segmentations[:, 0]
        count = max(1, _PIXELS_AT_ONCE // maps[0].numel())
        groups = [
            downsample_annotated(group, self.scales, self.ignore_label)
            for group in torch.split(maps, count)
        ]
        return [torch.cat(level)[:, None] for level in zip(*groups, strict=True)]
