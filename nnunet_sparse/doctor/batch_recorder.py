"""Transforms of a data loader that also tell which voxels of its patches are padding."""

import copy
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import (
    BasicTransform,
    ImageOnlyTransform,
    SegOnlyTransform,
)
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.augmentation import ResolvePadding
from nnunet_sparse.training.patch_labels import PADDING


class NoBatchesError(SparseError):
    """A trainer cannot make batches of the data."""


# nnU-Net's loader writes -1 outside the image; background outside the non-zero mask becomes this
_STOCK_PADDING = -1
_STOCK_MASKED = -2


class BatchRecorder(SegOnlyTransform):  # type: ignore[misc]
    """Remembers, for every sample, which voxels are padding, before that is resolved."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.outside: list[np.ndarray] = []
        self.straight: list[bool] = []
        self._rotated = False

    def clear(self) -> None:
        """Forget the samples of the last batch."""
        self.outside, self.straight, self._rotated = [], [], False

    def watch(self, spatial: SpatialTransform) -> None:
        """Notice when a spatial transform does something."""
        draw = spatial.get_parameters

        def watched(**data: Any) -> dict[str, Any]:
            parameters: dict[str, Any] = draw(**data)
            self._rotated = parameters["grid"] is not None
            return parameters

        spatial.get_parameters = watched

    def _apply_to_segmentation(
        self,
        segmentation: torch.Tensor,
        **params: Any,  # noqa: ARG002 - nnU-Net's interface
    ) -> torch.Tensor:
        self.outside.append((segmentation[0] == self.padding).numpy().copy())
        self.straight.append(not self._rotated)
        if self.padding == _STOCK_PADDING:
            segmentation[segmentation == _STOCK_MASKED] = 0
        return segmentation


def record_batches(loader: Any) -> tuple[BatchRecorder, ComposeTransforms]:
    """A loader's transforms, which tell what they know; the loader's data set is wrapped."""
    from nnunet_sparse.trainers.sparse_loader import SparseDataLoader

    if isinstance(loader, SparseDataLoader):
        recorder = BatchRecorder(PADDING)
    else:
        recorder = BatchRecorder(_STOCK_PADDING)
        loader._data = _MaskedApart(loader._data)
    transforms: list[Any] = []
    for transform in loader.transforms.transforms:
        if isinstance(transform, RemoveLabelTransform | ResolvePadding):
            if recorder not in transforms:
                transforms.append(recorder)
        elif isinstance(transform, SpatialTransform):
            transform = copy.copy(transform)  # noqa: PLW2901 - watched in this loader alone
            recorder.watch(transform)
        transforms.append(transform)
    if recorder not in transforms:
        raise NoBatchesError("the trainer's transforms do not say which voxels are padding")
    return recorder, ComposeTransforms(transforms)


def annotation_transforms(transforms: ComposeTransforms, ignore_label: int) -> ComposeTransforms:
    """The transforms without those that change neither what is annotated nor where it stands."""
    kept = [t for t in transforms.transforms if not _changes_images_only(t)]
    return ComposeTransforms([_OnlyAnnotated(ignore_label), *kept])


def _changes_images_only(transform: Any) -> bool:
    inner = transform.transform if isinstance(transform, RandomTransform) else transform
    return isinstance(inner, ImageOnlyTransform | MaskImageTransform)


class _OnlyAnnotated(BasicTransform):  # type: ignore[misc]
    """Keep one channel and merge all classes, which augmentation would treat one by one."""

    def __init__(self, ignore_label: int) -> None:
        super().__init__()
        self.ignore_label = ignore_label

    def apply(
        self,
        data_dict: dict[str, Any],
        **params: Any,  # noqa: ARG002 - nnU-Net's interface
    ) -> dict[str, Any]:
        label = data_dict["segmentation"]
        label[(label > 0) & (label != self.ignore_label)] = 0
        return data_dict | {"image": data_dict["image"][:1]}


class _MaskedApart:
    """Data set of nnU-Net whose masked background has another value than padding."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        image, label, previous, properties = self._data.load_case(identifier)
        return image, _MaskedLabel(label), previous, properties


class _MaskedLabel:
    """A label array of which only what is cropped is read."""

    def __init__(self, label: Any) -> None:
        self._label = label
        self.shape, self.dtype, self.ndim = label.shape, label.dtype, len(label.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        label = np.array(self._label[index])
        label[label == _STOCK_PADDING] = _STOCK_MASKED
        return label
