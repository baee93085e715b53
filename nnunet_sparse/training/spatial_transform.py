"""nnU-Net's rotation, scaling and deformation, on any device and in fewer passes.

Parameters are drawn as nnU-Net draws them, and sampling points differ from its by rounding alone.
What costs the time there is spared: the points of an affine map are sums of three short vectors
rather than a product of matrices; and a label is decided by its shares only where the voxels around
a point differ, which is near borders and annotated planes.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import product
from typing import Any, Self

import numpy as np
import torch
from batchgeneratorsv2.helpers.scalar_type import sample_scalar
from batchgeneratorsv2.transforms.spatial.spatial import (
    SpatialTransform,
    create_affine_matrix_2d,
    create_affine_matrix_3d,
)

from nnunet_sparse.training.patch_labels import PADDING

# points, of which a processor's cache holds the coordinates
_POINTS_AT_ONCE = 2**16
# in a map of labels: the voxels around a point differ
_MIXED = torch.iinfo(torch.int16).min

Decision = Callable[[list[torch.Tensor], list[torch.Tensor], torch.Tensor], torch.Tensor]
"""Labels of points: from the labels around them, their weights, and the labels nearest to them.

Each tensor is float32 (points,); there are four or eight labels around a point.
"""


class LikeStock:
    """Of a transform that derives from one of nnU-Net's: how it takes its parameters over."""

    @classmethod
    def like(cls, stock: Any) -> Self:
        """Transform with the parameters of one of nnU-Net's."""
        new = cls.__new__(cls)
        new.__dict__.update(stock.__dict__)
        return new


class DeviceSpatialTransform(LikeStock, SpatialTransform):  # type: ignore[misc]
    """nnU-Net's spatial transform, where the tensors lie.

    Labels are decided by their linear shares, with ``padding_value_seg`` outside the patch; among
    equal ones that of the nearest voxel wins. As in nnU-Net, shares are compared with half
    precision.
    """

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Draw the parameters of one sample, from the same generators and in nnU-Net's order.

        Returns
        -------
        dict
            ``grid``: sampling points (*patch, dimension) as ``torch.nn.functional.grid_sample``
            takes them, or None where nothing moves; ``bounds``: first and last coordinate of the
            points along each axis, in voxels, or beyond; ``center_location_in_pixels``.
        """
        image = data_dict["image"]
        shape, dimensions = image.shape[1:], image.ndim - 1
        # numpy's global generator, as in all of nnU-Net's transforms
        rotate, scale, deform = (
            np.random.uniform() < probability  # noqa: NPY002
            for probability in (self.p_rotation, self.p_scaling, self.p_elastic_deform)
        )
        angles = self._angles(image, dimensions) if rotate else [0.0] * dimensions
        scales = self._scales(image, dimensions) if scale else [1.0] * dimensions
        displacements = self._displacements(image, dimensions) if deform else None
        centre = self._centre(shape)
        parameters: dict[str, Any] = {"center_location_in_pixels": centre, "grid": None}
        if not (rotate or scale or deform):
            return parameters
        affine = (
            create_affine_matrix_3d(angles, scales)
            if dimensions == 3
            else create_affine_matrix_2d(angles[-1], scales)
        )
        offsets, largest = displacements or (None, [0.0] * dimensions)
        grid = self._grid(affine, offsets, centre, shape, image.device)
        halves = np.asarray([(side - 1) / 2 for side in self.patch_size])
        # their mean is taken off the displacements
        reach = np.abs(affine) @ (halves + 2 * np.asarray(largest))
        middle = [c - 0.5 for c in centre]
        bounds = [(m - r, m + r) for m, r in zip(middle, reach.tolist(), strict=True)]
        return parameters | {"grid": grid, "bounds": bounds}

    def _angles(self, image: torch.Tensor, dimensions: int) -> list[float]:
        angles = [sample_scalar(self.rotation, image=image, dim=i) for i in range(dimensions)]
        if self.p_rot_per_axis < 1:
            kept = [np.random.uniform() <= self.p_rot_per_axis for _ in angles]  # noqa: NPY002
            angles = [angle if keep else 0.0 for angle, keep in zip(angles, kept, strict=True)]
        return angles

    def _scales(self, image: torch.Tensor, dimensions: int) -> list[float]:
        if np.random.uniform() <= self.p_synchronize_scaling_across_axes:  # noqa: NPY002
            return [sample_scalar(self.scaling, image=image, dim=None)] * dimensions
        return [sample_scalar(self.scaling, image=image, dim=i) for i in range(dimensions)]

    def _displacements(
        self, image: torch.Tensor, dimensions: int
    ) -> tuple[torch.Tensor, list[float]]:
        """Smooth random displacements (dimension, *patch) in voxels, and their largest per axis."""
        size = self.patch_size
        if np.random.uniform() <= self.p_synchronize_def_scale_across_axes:  # noqa: NPY002
            one = sample_scalar(self.elastic_deform_scale, image=image, dim=None, patch_size=size)
            shares = [one] * dimensions
        else:
            shares = [
                sample_scalar(self.elastic_deform_scale, image=image, dim=i, patch_size=size)
                for i in range(dimensions)
            ]
        largest = [
            max(
                1e-8,
                sample_scalar(
                    self.elastic_deform_magnitude,
                    image=image,
                    patch_size=size,
                    dim=i,
                    deformation_scale=shares[i],
                ),
            )
            for i in range(dimensions)
        ]
        noise = torch.normal(0.0, 1.0, size=(dimensions, *size), device=image.device)
        for axis, (share, most) in enumerate(zip(shares, largest, strict=True)):
            smooth = _smoothed(noise[axis], share * size[axis])
            torch.mul(smooth, most / smooth.abs().max(), out=noise[axis])
        return noise, largest

    def _centre(self, shape: Sequence[int]) -> list[float]:
        """Middle of the sampled patch, in voxels from the first one's outer border."""
        if not self.random_crop:
            return [side / 2 for side in shape]
        centre = []
        for side, margin in zip(shape, self.patch_center_dist_from_border, strict=True):
            inside = side - margin >= margin
            drawn = np.random.uniform(margin, side - margin) if inside else side / 2  # noqa: NPY002
            centre.append(float(drawn))
        return centre

    def _grid(
        self,
        affine: np.ndarray,
        offsets: torch.Tensor | None,
        centre: Sequence[float],
        shape: Sequence[int],
        device: torch.device,
    ) -> torch.Tensor:
        """Points (*patch, dimension) of a map of the patch, in units of half of the image."""
        dimensions = len(shape)
        half = np.asarray(shape) / 2
        matrix = affine / half[:, None]
        shift = np.asarray(centre) / half - 1
        # one plane per coordinate: written and read in order
        planes = torch.empty((dimensions, *self.patch_size), device=device)
        axes = [np.arange(side) - (side - 1) / 2 for side in self.patch_size]
        for plane, axis in zip(planes, reversed(range(dimensions)), strict=True):
            terms = [row * along for row, along in zip(matrix[axis], axes, strict=True)]
            terms[0] = terms[0] + shift[axis]
            vectors = [torch.from_numpy(term).float().to(device) for term in terms]
            leading = vectors[0]
            for vector in vectors[1:-1]:
                leading = leading[..., None] + vector
            torch.add(leading[..., None], vectors[-1], out=plane)
            if offsets is not None:
                for row, offset in zip(matrix[axis].tolist(), offsets, strict=True):
                    plane.add_(offset, alpha=row)
                    if self.center_deformation:
                        plane.sub_(offset.mean() * row)
        return planes.movedim(0, -1)

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **params: Any) -> torch.Tensor:
        if params["grid"] is None or self.mode_seg == "nearest":
            cropped: torch.Tensor = super()._apply_to_segmentation(segmentation, **params)
            return cropped
        return torch.stack(
            [
                resampled(
                    label,
                    params["grid"],
                    params["bounds"],
                    self._decide,
                    outside=self.padding_value_seg,
                    align_corners=self.align_corners,
                )
                for label in segmentation
            ]
        )

    def _decide(
        self, around: list[torch.Tensor], weights: list[torch.Tensor], nearest: torch.Tensor
    ) -> torch.Tensor:
        shares = [(1000 * share).half() for share in shares_of(around, weights)]
        winner, best = largest_share(around, shares)
        of_nearest = torch.zeros_like(best)
        for label, share in zip(around, shares, strict=True):
            of_nearest = torch.where(label == nearest, share, of_nearest)
        return torch.where(of_nearest == best, nearest, winner)


def shares_of(around: list[torch.Tensor], weights: list[torch.Tensor]) -> list[torch.Tensor]:
    """For each label around a point, the sum of the weights of the equal ones."""
    shares = [weight.clone() for weight in weights]
    equal = torch.empty_like(around[0])
    for first in range(len(around)):
        for second in range(first + 1, len(around)):
            # as a float: mixed types take several times as long
            torch.eq(around[first], around[second], out=equal)
            shares[first].addcmul_(equal, weights[second])
            shares[second].addcmul_(equal, weights[first])
    return shares


def largest_share(
    around: list[torch.Tensor], shares: list[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Label with the largest share, the smallest such label, and its share."""
    best = shares[0]
    for share in shares[1:]:
        best = torch.maximum(best, share)
    winner = torch.full_like(around[0], math.inf)
    for label, share in zip(around, shares, strict=True):
        winner = torch.where(share == best, torch.minimum(label, winner), winner)
    return winner, best


def resampled(
    label: torch.Tensor,
    grid: torch.Tensor,
    bounds: Sequence[tuple[float, float]],
    decide: Decision,
    *,
    outside: int = PADDING,
    align_corners: bool = False,
) -> torch.Tensor:
    """Labels at the points of a grid.

    Parameters
    ----------
    label
        (z, y, x) or (y, x), int16.
    grid
        (*patch, dimension), as ``torch.nn.functional.grid_sample`` takes it.
    bounds
        First and last coordinate of the points along each axis of the label, in voxels, or beyond.
    decide
        Which label a point gets where the voxels around it have different ones. Where they have the
        same, it has that one.
    outside
        Label of everything outside.
    align_corners
        As for ``grid_sample``.

    Returns
    -------
    torch.Tensor
        Of the shape (*patch,), of the label's type.
    """
    patch, dimensions = grid.shape[:-1], label.ndim
    found = _Surroundings.of(label, bounds, outside, align_corners)
    if found is None:
        return torch.full(patch, outside, dtype=label.dtype, device=label.device)
    low, high = torch.aminmax(found.labels)
    if int(low) == int(high):
        return torch.full(patch, int(low), dtype=label.dtype, device=label.device)
    alike = found.alike().view(-1)
    points = grid.movedim(-1, 0).reshape(dimensions, -1)
    at_once = _POINTS_AT_ONCE if label.device.type == "cpu" else points.shape[1]
    result = torch.empty(points.shape[1], dtype=label.dtype, device=label.device)
    parts = zip(torch.split(points, at_once, 1), torch.split(result, at_once), strict=True)
    for some, values in parts:
        torch.index_select(alike, 0, found.number(some), out=values)
    mixed = (result == _MIXED).nonzero()[:, 0]
    # split has one part of an empty tensor
    for some in torch.split(mixed, at_once) if len(mixed) else ():
        decided = decide(*found.around(points.index_select(1, some)))
        result.index_copy_(0, some, decided.to(label.dtype))
    return result.view(patch)


class _Surroundings:
    """The part of a label map that points may see, and a border around it.

    Attributes
    ----------
    labels
        The part, with two voxels of ``outside`` where points may lie outside.
    """

    def __init__(
        self,
        labels: torch.Tensor,
        origin: Sequence[int],
        shape: Sequence[int],
        is_limited: Sequence[bool],
        align_corners: bool,
    ) -> None:
        self.labels = labels
        self.origin = origin
        self.shape = shape
        self.align_corners = align_corners
        self.is_limited = is_limited
        self.strides = [math.prod(labels.shape[axis + 1 :]) for axis in range(labels.ndim)]

    @classmethod
    def of(
        cls,
        label: torch.Tensor,
        bounds: Sequence[tuple[float, float]],
        outside: int,
        align_corners: bool,
    ) -> "_Surroundings | None":
        """What points within the bounds may see; None if that is nothing of the label."""
        parts, origin, is_limited = [], [], []
        pads: list[int] = []
        for size, (low, high) in zip(label.shape, bounds, strict=True):
            # a voxel more for rounding
            first, end = math.floor(low) - 1, math.floor(high) + 3
            start, stop = max(0, first), min(size, end)
            if start >= stop:
                return None
            before, after = 2 * (first < 0), 2 * (end > size)
            parts.append(slice(start, stop))
            origin.append(start - before)
            pads = [before, after, *pads]
            is_limited.append(before + after > 0)
        part = label[tuple(parts)]
        if any(pads):
            part = torch.nn.functional.pad(part, pads, value=outside)
        return cls(part.contiguous(), origin, label.shape, is_limited, align_corners)

    @cached_property
    def floats(self) -> torch.Tensor:
        """The labels in a row, of the type of their weights."""
        return self.labels.view(-1).float()

    def alike(self) -> torch.Tensor:
        """The labels, and ``_MIXED`` where the next voxels along all axes have others."""
        labels = self.labels
        # bits in which any two differ: comparisons of integers take several times as long
        differing: torch.Tensor | None = None
        for axis in reversed(range(labels.ndim)):
            # of the axes that were compared before, without the last voxel
            inner = labels
            for later in range(axis + 1, labels.ndim):
                inner = inner.narrow(later, 0, labels.shape[later] - 1)
            size = inner.shape[axis] - 1
            bits = inner.narrow(axis, 1, size) ^ inner.narrow(axis, 0, size)
            if differing is not None:
                bits |= differing.narrow(axis, 1, size)
                bits |= differing.narrow(axis, 0, size)
            differing = bits
        assert differing is not None
        values = labels.clone()
        values[(slice(None, -1),) * labels.ndim].masked_fill_(differing.bool(), _MIXED)
        return values

    def number(self, points: torch.Tensor) -> torch.Tensor:
        """Number in ``labels`` of the voxel before each point (dimension, n).

        Where rounding decides, it is that of a neighbour: points in the middle of a voxel are not
        mixed if one of the two is not.
        """
        number: torch.Tensor | None = None
        for axis, size in enumerate(self.shape):
            scale = (size - self.align_corners) / 2
            middle = torch.tensor((size - 1) / 2 - self.origin[axis], device=points.device)
            # its first coordinate is along the last axis
            # positive, so that integers are what lies before
            at = torch.add(middle, points[points.shape[0] - 1 - axis], alpha=scale)
            number = self._joined(number, at, axis)
        assert number is not None
        return number

    def around(
        self, points: torch.Tensor
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        """Labels around points (dimension, n), their weights, and the label nearest to each."""
        number: torch.Tensor | None = None
        nearest: torch.Tensor | None = None
        parts = []
        for axis, (size, origin) in enumerate(zip(self.shape, self.origin, strict=True)):
            # in the order of grid_sample, so that it rounds alike
            at = points[points.shape[0] - 1 - axis] + 1
            at = at.div_(2).mul_(size - 1) if self.align_corners else at.mul_(size).sub_(1).div_(2)
            before = at.floor()
            part = at - before
            parts.append((1 - part, part))
            nearest = self._joined(nearest, at.round_().sub_(origin), axis)
            number = self._joined(number, before.sub_(origin), axis)
        assert number is not None
        assert nearest is not None
        flat = self.floats
        labels, weights = [], []
        for corner in product((0, 1), repeat=len(parts)):
            step = sum(c * stride for c, stride in zip(corner, self.strides, strict=True))
            labels.append(flat.index_select(0, number + step))
            weight = parts[0][corner[0]]
            for along, c in zip(parts[1:], corner[1:], strict=True):
                weight = weight * along[c]
            weights.append(weight)
        return labels, weights, flat.index_select(0, nearest)

    def _joined(
        self, number: torch.Tensor | None, position: torch.Tensor, axis: int
    ) -> torch.Tensor:
        """Number of a voxel, with its position along one more axis."""
        length = self.labels.shape[axis]
        # far outside all is alike
        inside = position.clamp_(0, length - 2) if self.is_limited[axis] else position
        if number is None:
            return inside.to(torch.int32)
        return number.mul_(length).add_(inside.to(torch.int32))


# frequencies with less of the whole are rounded away in any case
_NEGLIGIBLE = 1e-9


def _smoothed(noise: torch.Tensor, sigma: float) -> torch.Tensor:
    """Periodic Gaussian filter, as ``scipy.ndimage.fourier_gaussian`` has it.

    A wide filter lets few frequencies pass: products with their sines and cosines take less time
    than a transform of all.
    """
    for axis, size in enumerate(noise.shape):
        waves = torch.from_numpy(_passing_waves(size, sigma)).float().to(noise.device)
        noise = ((noise.movedim(axis, -1) @ waves) @ waves.T).movedim(-1, axis)
    return noise


def _passing_waves(size: int, sigma: float) -> np.ndarray:
    """Matrix (size, waves) whose product with its transpose is the filter along an axis."""
    numbers = np.arange(size // 2 + 1)
    response = np.exp(-2 * (np.pi * sigma * numbers / size) ** 2)
    # a frequency stands for itself and its negative
    response[(numbers > 0) & (2 * numbers < size)] *= 2
    numbers = numbers[response > _NEGLIGIBLE]
    angles = 2 * np.pi / size * np.outer(np.arange(size), numbers)
    waves = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
    return np.asarray(waves * np.sqrt(np.tile(response[: len(numbers)], 2) / size))
