"""Labels at points of a grid, on any device.

A label is decided by its shares only where the voxels around a point differ, which is near borders
and annotated planes; elsewhere it is looked up.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import product

import torch

from nnunet_sparse.training.patch_labels import PADDING

# points, of which a processor's cache holds the coordinates
_POINTS_AT_ONCE = 2**16
# in a map of labels: the voxels around a point differ
_MIXED = torch.iinfo(torch.int16).min

Decision = Callable[[list[torch.Tensor], list[torch.Tensor], torch.Tensor], torch.Tensor]
"""Labels of points: from the labels around them, their weights, and the labels nearest to them.

Each tensor is float32 (points,); there are four or eight labels around a point.
"""


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
