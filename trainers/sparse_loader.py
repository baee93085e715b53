"""Batches of patches that were drawn for annotated voxels or slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_sparse.data.annotation import MASK_SUFFIX, PROPERTY
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.plain_pickle import read_plain_pickle
from nnunet_sparse.training.augmentation import (
    AnnotatedTargets,
    split_targets,
    stacked_targets,
)
from nnunet_sparse.training.patch_labels import MASKED_BACKGROUND, MASKED_IGNORE, PADDING
from nnunet_sparse.training.sampling import place_patch

# of nnU-Net's class_locations: a label, or the labels of a region
ClassKey = int | tuple[int, ...]


class NoAnnotationError(SparseError):
    """None of the cases that batches should be drawn from has an annotated voxel."""


@dataclass(frozen=True)
class PlacedPatch:
    """Where a patch lies, with the arrays of its case, which are read where it is cut out.

    Attributes
    ----------
    case
        The case.
    corner
        First voxel of the initial patch, in voxels of the image; it may lie outside.
    image, label, previous
        (channel, z, y, x), as nnU-Net's data sets return them; the prediction of a previous stage
        is None where there is none.
    """

    case: str
    corner: Sequence[int]
    image: Any
    label: Any
    previous: Any


class SparseDataLoader(nnUNetDataLoader):  # type: ignore[misc]
    """nnU-Net's data loader with a choice of where patches lie and which slices are drawn.

    As in nnU-Net, a share of each batch is drawn for a voxel of a random class of the case and the
    rest for a random annotated voxel. Cases without annotation are never drawn. Randomness comes
    from numpy's global generator, as in nnU-Net.

    Parameters
    ----------
    stock
        nnU-Net's loader for the same batches.
    label_manager
        That of the trainer.
    transforms
        Augmentation for labels with the values of :mod:`nnunet_sparse.training.patch_labels`, or
        None: the patches as they were cut out.
    placement
        Where a patch lies around its voxel, see :mod:`nnunet_sparse.training.sampling`.
    slice_sampling
        ``case``: draw a case, then a voxel. ``uniform``: draw slices uniformly from all annotated
        slices of all cases, then a voxel of the slice; where foreground must be shown, a class, a
        slice uniformly from those that show it, then a voxel of the class. For patches of one slice
        only.

    Raises
    ------
    NoAnnotationError
        If no case has an annotated voxel.
    """

    def __init__(
        self,
        stock: nnUNetDataLoader,
        label_manager: LabelManager,
        transforms: Any,
        placement: str,
        slice_sampling: str,
    ) -> None:
        flat = stock.patch_size_was_2d
        super().__init__(
            stock._data,
            stock.batch_size,
            stock.patch_size[1:] if flat else stock.patch_size,
            stock.final_patch_size[1:] if flat else stock.final_patch_size,
            label_manager,
            oversample_foreground_percent=stock.oversample_foreground_percent,
            probabilistic_oversampling=(
                stock.get_do_oversample == stock._probabilistic_oversampling
            ),
            transforms=transforms,
        )
        self.placement = placement
        self.ignore_label = label_manager.ignore_label
        self.uniform_slices = flat and slice_sampling == "uniform"
        # offset of the network's patch in the larger one that is rotated and scaled
        self.margin = [
            size // 2 - final // 2
            for size, final in zip(self.patch_size, self.final_patch_size, strict=True)
        ]
        folder = Path(self._data.source_folder)
        masks = folder.with_name(f"{folder.name}{MASK_SUFFIX}")
        self.masks = masks if masks.is_dir() else None
        self.indices: list[str] = []
        self.slices: list[tuple[str, int]] = []
        slices_of_class: dict[ClassKey, list[tuple[str, int]]] = {}
        for case in self._data.identifiers:
            properties = read_plain_pickle(folder / f"{case}.pkl")
            planes = self._annotated_planes(case, properties)
            if not len(planes):
                continue
            self.indices.append(case)
            self.slices += [(case, int(plane)) for plane in planes]
            for key in properties["class_locations"]:
                if key != self.annotated_classes_key:
                    slices_of_class.setdefault(key, []).extend(
                        (case, int(plane)) for plane in planes_of_class(properties, key)
                    )
        self.slices_of_class = {key: found for key, found in slices_of_class.items() if found}
        if not self.indices:
            raise NoAnnotationError(
                f"none of the {len(self._data.identifiers)} cases of a split in {folder} has an "
                "annotated voxel"
            )

    def _annotated_planes(self, case: str, properties: dict[str, Any]) -> np.ndarray:
        """Annotated planes of a case; all of them where the data set has no ignore label."""
        if self.ignore_label is not None:
            return annotated_planes(properties, self.annotated_classes_key)
        return np.arange(self._data.load_case(case)[0].shape[1])

    def generate_train_batch(self) -> dict[str, Any]:
        """Draw, crop and augment one batch.

        Returns
        -------
        dict
            ``data``: (batch, channel, *patch), float32; ``target``: one tensor, or one for each
            output with deep supervision; ``keys``: the cases.
        """
        rng = np.random.default_rng(np.random.randint(2**32, size=4, dtype=np.uint32))  # noqa: NPY002
        keys, images, targets = [], [], []
        transforms, batch_targets = self._of_sample_and_batch()
        with torch.no_grad():
            for sample in range(self.batch_size):
                case, image, label = self._draw(self.get_do_oversample(sample), rng)
                keys.append(case)
                if transforms is None:
                    images.append(image)
                    targets.append(label)
                    continue
                transformed = transforms(image=image, segmentation=label)
                images.append(transformed["image"])
                targets.append(transformed["segmentation"])
        target = stacked_targets(targets, batch_targets)
        return {"data": torch.stack(images), "target": target, "keys": keys}

    def _of_sample_and_batch(self) -> tuple[Any, AnnotatedTargets | None]:
        """Transforms of one sample, and what is done for a batch: slices cost most in calls."""
        if self.transforms is not None and self.patch_size_was_2d:
            return split_targets(self.transforms)
        return self.transforms, None

    def _draw(
        self, force_foreground: bool, rng: np.random.Generator
    ) -> tuple[str, torch.Tensor, torch.Tensor]:
        """Case, image patch (channel, *initial patch) and label patch before augmentation."""
        if self.uniform_slices:
            shown: ClassKey | None = None
            if force_foreground and self.slices_of_class:
                keys = list(self.slices_of_class)
                shown = keys[int(rng.integers(len(keys)))]
            choices = self.slices if shown is None else self.slices_of_class[shown]
            case, plane = choices[int(rng.integers(len(choices)))]
            image, label, previous, _ = self._data.load_case(case)
            # read once, for the voxel and for the patch
            label = label[:, plane : plane + 1]
            voxel = [plane, *self._voxel_of_slice(label[0, 0], shown, rng)]
            corner = self._corner(voxel, image.shape[1:], rng)
            return self._cut(PlacedPatch(case, corner, image, label, previous))
        return self._cut(self._place(force_foreground, rng))

    def _place(self, force_foreground: bool, rng: np.random.Generator) -> PlacedPatch:
        """Draw a case, and where its patch lies."""
        case = self.indices[int(rng.integers(len(self.indices)))]
        image, label, previous, properties = self._data.load_case(case)
        voxel = self._voxel_of_case(properties["class_locations"], force_foreground, rng)
        corner = self._corner(voxel, image.shape[1:], rng)
        return PlacedPatch(case, corner, image, label, previous)

    def _cut(self, placed: PlacedPatch) -> tuple[str, torch.Tensor, torch.Tensor]:
        """Case, image patch and label patch; of a slice, the label is that of the slice alone."""
        box = [[low, low + size] for low, size in zip(placed.corner, self.patch_size, strict=True)]
        image_patch = torch.from_numpy(_crop(placed.image, box, 0, np.float32))
        label_box = [[0, 1], *box[1:]] if self.uniform_slices else box
        label_patch = _crop(placed.label, label_box, PADDING, np.int16)
        if self.masks is not None:
            whole = blosc2.open(
                str(self.masks / f"{placed.case}.b2nd"), "r", dparams={"nthreads": 1}
            )
            mask = _crop(whole, box, 1, np.uint8)
            label_patch[(label_patch == self.ignore_label) & (mask == 0)] = MASKED_IGNORE
        if placed.previous is not None:
            stage = _crop(placed.previous, box, MASKED_BACKGROUND, np.int16)
            label_patch = np.concatenate((label_patch, stage[None]))
        patch = torch.from_numpy(label_patch)
        if self.patch_size_was_2d:
            return placed.case, image_patch[:, 0], patch[:, 0]
        return placed.case, image_patch, patch

    def _corner(
        self, voxel: Sequence[int], image_shape: Sequence[int], rng: np.random.Generator
    ) -> list[int]:
        """First voxel of the initial patch, such that the network's patch contains the voxel."""
        corner = place_patch(voxel, image_shape, self.final_patch_size, self.placement, rng)
        return [first - margin for first, margin in zip(corner, self.margin, strict=True)]

    def _voxel_of_case(
        self,
        locations: dict[ClassKey, np.ndarray],
        force_foreground: bool,
        rng: np.random.Generator,
    ) -> list[int]:
        """Random voxel of a random class, or any annotated one."""
        key = self.annotated_classes_key
        shown = [k for k in locations if k != key and len(locations[k])]
        if force_foreground and shown:
            key = shown[int(rng.integers(len(shown)))]
        choices = locations[key]
        return [int(index) for index in choices[int(rng.integers(len(choices)))][1:]]

    def _voxel_of_slice(
        self, label: np.ndarray, shown: ClassKey | None, rng: np.random.Generator
    ) -> tuple[int, int]:
        """Random pixel (y, x) of a class that the slice shows, or any annotated one for None."""
        if shown is None:
            candidates = label != self.ignore_label
        elif isinstance(shown, tuple):
            candidates = np.isin(label, shown)
        else:
            candidates = label == shown
        flat = np.flatnonzero(candidates)
        row, column = divmod(int(flat[int(rng.integers(len(flat)))]), label.shape[1])
        return row, column


def _crop(array: Any, box: Sequence[Sequence[int]], outside: float, dtype: Any) -> np.ndarray:
    """Part of an array ([c,] z, y, x) in a box [low, high) per axis that may reach outside."""
    channels = array.shape[: -len(box)]
    patch = np.full((*channels, *(high - low for low, high in box)), outside, dtype)
    sizes = array.shape[-len(box) :]
    source = [
        slice(max(low, 0), min(high, size)) for (low, high), size in zip(box, sizes, strict=True)
    ]
    if all(part.start < part.stop for part in source):
        whole = (slice(None),) * len(channels)
        target = (
            slice(p.start - low, p.stop - low) for p, (low, _) in zip(source, box, strict=True)
        )
        patch[(*whole, *target)] = array[(*whole, *source)]
    return patch


def planes_of_class(properties: dict[str, Any], key: ClassKey) -> np.ndarray:
    """Planes along the first axis of a preprocessed case that show a class.

    Parameters
    ----------
    properties
        Of the preprocessed case; as for :func:`annotated_planes`.
    key
        Key of the class in ``class_locations``.

    Returns
    -------
    np.ndarray, shape (n,), int64
        Ascending.
    """
    if PROPERTY in properties and "class_planes" in properties[PROPERTY]:
        return np.asarray(properties[PROPERTY]["class_planes"].get(key, ()), dtype=np.int64)
    return _planes_of_locations(properties["class_locations"][key])


def annotated_planes(properties: dict[str, Any], annotated_key: tuple[int, ...]) -> np.ndarray:
    """Planes along the first axis of a preprocessed case that hold annotated voxels.

    Parameters
    ----------
    properties
        Of the preprocessed case. Data that nnU-Net preprocessed lack a list of the planes; they
        are taken from its sample of at least 1 % and 10000 of the annotated voxels.
    annotated_key
        Key of all annotated voxels in ``class_locations``.

    Returns
    -------
    np.ndarray, shape (n,), int64
        Ascending.
    """
    if PROPERTY in properties:
        return np.asarray(properties[PROPERTY]["annotated_planes"], dtype=np.int64)
    return _planes_of_locations(properties["class_locations"].get(annotated_key, []))


def _planes_of_locations(locations: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """Planes of voxels (n, 4), each with its channel first, as nnU-Net notes them."""
    if len(locations) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.asarray(locations)[:, 1]).astype(np.int64)
