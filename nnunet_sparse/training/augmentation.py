"""nnU-Net's augmentation, changed where it loses annotation.

nnU-Net interpolates each label of a rotated or scaled patch, ``ignore`` like the others, and takes
the largest share. At the border of two classes each has a share of one half at most, so that
``ignore`` wins there although most of the neighbourhood is annotated: what is lost of a single
annotated plane are the borders.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform, SegOnlyTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import (
    DownsampleSegForDSTransform,
)
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform

from nnunet_sparse.training.patch_labels import MASKED_IGNORE, PADDING
from nnunet_sparse.training.point_labels import largest_share, shares_of
from nnunet_sparse.training.settings import TrainingSettings
from nnunet_sparse.training.spatial_transform import DeviceSpatialTransform
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
    new = AnnotationAwareSpatialTransform.like(stock) if aware else copy(stock)
    new.padding_value_seg = PADDING
    if aware:
        padding = {PADDING} if settings.padding == "ignore" else set()
        new.ignore_label = ignore_label
        new.unknown = frozenset({ignore_label, MASKED_IGNORE} | padding)
    return new


# shares are sums of a few float32 numbers
_TIE = 1e-4


class AnnotationAwareSpatialTransform(DeviceSpatialTransform):
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

    def _decide(
        self, around: list[torch.Tensor], weights: list[torch.Tensor], nearest: torch.Tensor
    ) -> torch.Tensor:
        known = [
            weight * self._is_known(label) for label, weight in zip(around, weights, strict=True)
        ]
        total = torch.stack(known).sum(0)
        winner, best = largest_share(around, shares_of(around, known))
        of_nearest, equal = torch.zeros_like(best), torch.empty_like(best)
        for label, weight in zip(around, known, strict=True):
            of_nearest.addcmul_(torch.eq(label, nearest, out=equal), weight)
        near = of_nearest > 0
        winner = torch.where(near & (of_nearest >= best - _TIE), nearest, winner)
        annotated = total > torch.where(near, 0.5 - _TIE, 0.5 + _TIE)
        return torch.where(annotated, winner, torch.where(near, self.ignore_label, nearest))

    def _is_known(self, label: torch.Tensor) -> torch.Tensor:
        """1 for labels that are annotated, else 0."""
        known = torch.ne(label, self.ignore_label, out=torch.empty_like(label))
        differs = torch.empty_like(label)
        for value in self.unknown - {self.ignore_label}:
            known *= torch.ne(label, value, out=differs)
        return known


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
        # one look is faster than a comparison; elsewhere the processor would wait for it
        if segmentation.device.type == "cpu" and segmentation.min() >= 0:
            return segmentation
        label = segmentation[0]
        label.masked_fill_(label == MASKED_IGNORE, self.ignore_label)
        label.masked_fill_(label == PADDING, self.padding_target)
        # masked background; the further channels are predictions of a previous stage
        return segmentation.clamp_(min=0)


# more do not stay in the processor's cache, and every label of one map is counted in all
_PIXELS_AT_ONCE = 2**17
# elsewhere a call costs more than its pixels, up to some memory
_PIXELS_AT_ONCE_ON_DEVICE = 2**24


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
        at_once = _PIXELS_AT_ONCE if maps.device.type == "cpu" else _PIXELS_AT_ONCE_ON_DEVICE
        count = max(1, at_once // maps[0].numel())
        groups = [
            downsample_annotated(group, self.scales, self.ignore_label)
            for group in torch.split(maps, count)
        ]
        return [torch.cat(level)[:, None] for level in zip(*groups, strict=True)]


def split_targets(
    transforms: ComposeTransforms,
) -> tuple[ComposeTransforms, AnnotatedTargets | None]:
    """Transforms of one sample, and what may be done for a whole batch, in fewer calls."""
    *others, last = transforms.transforms
    if isinstance(last, AnnotatedTargets) and last.regions is None:
        return ComposeTransforms(others), last
    return transforms, None


def stacked_targets(
    targets: list[Any], batch_targets: AnnotatedTargets | None
) -> torch.Tensor | list[torch.Tensor]:
    """Targets of a batch from those of its samples, after :func:`split_targets`."""
    if batch_targets is not None:
        return batch_targets.of_batch(torch.stack(targets))
    if isinstance(targets[0], list):
        return [torch.stack(level) for level in zip(*targets, strict=True)]
    return torch.stack(targets)
