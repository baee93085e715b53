"""Logits on the grid that an image had before it was preprocessed, some planes at a time.

nnU-Net resamples a whole volume at once, in double precision: for 15 labels on 512 x 512 x 600
voxels that takes tens of GiB. Its default function interpolates linearly, or takes the nearest
plane, along one axis after the other, so that planes can be had by themselves. Any other function
is called for the whole volume.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

_BY_AXES = "resample_data_or_seg_to_shape"
_ARGUMENTS = {
    *("is_seg", "order", "order_z", "force_separate_z"),
    "separate_z_anisotropy_threshold",
}
_ORDERS = {0, 1}


@dataclass(frozen=True)
class AxisSampling:
    """Where planes of the result come from along one axis: (1 - weight) first + weight second.

    Attributes
    ----------
    first, second
        (length of the result,) planes of the source.
    weight
        (length of the result,) float32.
    """

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray

    @classmethod
    def between(cls, source: int, result: int, linear: bool) -> "AxisSampling":
        """Sampling of so many planes from others over the same extent, the ends continued."""
        at = (np.arange(result) + 0.5) * source / result - 0.5
        if not linear:
            nearest = np.clip(np.floor(at + 0.5), 0, source - 1).astype(np.int64)
            return cls(nearest, nearest, np.zeros(result, np.float32))
        at = np.clip(at, 0, source - 1)
        first = np.floor(at).astype(np.int64)
        return cls(first, np.minimum(first + 1, source - 1), (at - first).astype(np.float32))

    @property
    def is_identity(self) -> bool:
        """Whether all planes stay what they are, whatever their number."""
        return bool((self.first == np.arange(len(self.first))).all() and not self.weight.any())

    def part(self, first: int, end: int) -> "AxisSampling":
        """Sampling of some planes of the result."""
        return AxisSampling(self.first[first:end], self.second[first:end], self.weight[first:end])

    def apply(self, values: "torch.Tensor", axis: int) -> "torch.Tensor":
        """Sample values along an axis."""
        import torch

        if self.is_identity and values.shape[axis] == len(self.first):
            return values
        first, second = (
            values.index_select(axis, torch.from_numpy(planes).to(values.device))
            for planes in (self.first, self.second)
        )
        if not self.weight.any():
            return first
        shape = [1] * values.ndim
        shape[axis] = -1
        weight = torch.from_numpy(self.weight).to(values.device).reshape(shape)
        return torch.lerp(first, second, weight)


@dataclass(frozen=True)
class ResampledLogits:
    """Logits of one network on the cropped grid.

    Attributes
    ----------
    logits
        (planes, heads, ...) float16 on the preprocessed grid, in memory or on disk; the planes lie
        along the slice axis, the other two axes keep their order.
    axis
        Which of the three axes of the preprocessed volume the planes lie along.
    shape
        Of the cropped volume, in the order of the preprocessed one.
    spacing_mm, preprocessed_mm
        Of the cropped and of the preprocessed volume.
    function, arguments
        nnU-Net's function for probabilities and its arguments, as the plans name them.
    """

    logits: np.ndarray
    axis: int
    shape: tuple[int, ...]
    spacing_mm: Sequence[float]
    preprocessed_mm: Sequence[float]
    function: str
    arguments: Mapping[str, Any]

    def planes(self, first: int, end: int, device: "torch.device") -> "torch.Tensor":
        """Logits of some planes of the cropped volume, (heads, planes, ...) float32."""
        import torch

        if self._samplings is None:
            part = np.array(self._whole[first:end])
            return torch.from_numpy(part).to(device).float().movedim(0, 1)
        along, *within = self._samplings
        wanted = along.part(first, end)
        low, high = int(wanted.first.min()), int(wanted.second.max()) + 1
        part = np.array(self.logits[low:high])
        values = torch.from_numpy(part).to(device).float()
        shifted = AxisSampling(wanted.first - low, wanted.second - low, wanted.weight)
        values = shifted.apply(values, 0)
        if all(sampling.weight.any() for sampling in within):
            # both axes linear, ends continued: the same at once
            size = [len(sampling.first) for sampling in within]
            values = torch.nn.functional.interpolate(values, size, mode="bilinear")
        else:
            for axis, sampling in enumerate(within, 2):
                values = sampling.apply(values, axis)
        if not self._is_same_shape:
            values = values.half().float()  # as nnU-Net rounds what it has resampled
        return values.movedim(0, 1)

    @property
    def _source_shape(self) -> tuple[int, ...]:
        """Shape of the preprocessed volume."""
        planes, _, *others = self.logits.shape
        others.insert(self.axis, planes)
        return tuple(others)

    @property
    def _is_same_shape(self) -> bool:
        return self._source_shape == tuple(self.shape)

    @cached_property
    def _samplings(self) -> tuple[AxisSampling, ...] | None:
        """Sampling along the slice axis and the two others; None if it is no such function."""
        linear = self._linear_axes()
        if linear is None:
            return None
        every = [
            AxisSampling.between(source, result, is_linear)
            for source, result, is_linear in zip(
                self._source_shape, self.shape, linear, strict=True
            )
        ]
        return every.pop(self.axis), *every

    def _linear_axes(self) -> tuple[bool, ...] | None:
        """Along which axes nnU-Net interpolates linearly, elsewhere it takes the nearest."""
        if self._is_same_shape:
            return (False,) * 3
        from nnunetv2.configuration import ANISO_THRESHOLD
        from nnunetv2.preprocessing.resampling.default_resampling import (
            determine_do_sep_z_and_axis,
        )

        known = {
            "is_seg",
            "order",
            "order_z",
            "force_separate_z",
            "separate_z_anisotropy_threshold",
        }
        if self.function != _BY_AXES or not set(self.arguments) <= known:
            return None
        order, order_z = self.arguments.get("order", 3), self.arguments.get("order_z", 0)
        if self.arguments.get("is_seg") or not {order, order_z} <= _ORDERS:
            return None
        apart, axis = determine_do_sep_z_and_axis(
            self.arguments.get("force_separate_z", False),
            self.preprocessed_mm,
            self.spacing_mm,
            self.arguments.get("separate_z_anisotropy_threshold", ANISO_THRESHOLD),
        )
        return tuple(bool(order_z if apart and number == axis else order) for number in range(3))

    @cached_property
    def _whole(self) -> np.ndarray:
        """The whole cropped volume, (planes, heads, ...)."""
        import torch
        from nnunetv2.preprocessing.resampling.utils import recursive_find_resampling_fn_by_name

        resample = recursive_find_resampling_fn_by_name(self.function)
        volume = torch.from_numpy(np.moveaxis(self.logits, 0, self.axis + 1).copy())
        result = resample(
            volume, self.shape, self.preprocessed_mm, self.spacing_mm, **self.arguments
        )
        return np.moveaxis(np.asarray(result), self.axis + 1, 0)
