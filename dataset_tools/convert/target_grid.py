"""The voxels of a converted volume: the paper's spacing and size, with all of the foreground.

Terms: the *full grid* has the target spacing and covers the whole source, centred on it; the
*target grid* is the part of it (or more) that is written. All tuples are (z, y, x).
"""

import math
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import brief

Triple = tuple[float, float, float]
Size = tuple[int, int, int]

_MOST_VOXELS = 2**31
# share of a target voxel by which the source may be larger than the full grid
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class TargetGrid:
    """Where the voxels of the converted volume lie, along the axes of the source.

    Attributes
    ----------
    size
        Number of voxels.
    spacing_mm
        Distance between them.
    full_offset_mm
        From the centre of the source's first voxel to that of the full grid's first one, along each
        axis.
    start
        Index of the first voxel in the full grid; negative where the volume is padded.
    shift
        Voxels by which the grid was moved from the centre, because of the foreground.
    enlarged
        Voxels by which it is larger than wanted, because of the foreground.
    """

    size: Size
    spacing_mm: Triple
    full_offset_mm: Triple = (0.0, 0.0, 0.0)
    start: Size = (0, 0, 0)
    shift: Size = (0, 0, 0)
    enlarged: Size = (0, 0, 0)

    def placed_along(self, source: sitk.Image) -> tuple[Triple, Triple]:
        """Origin and spacing (x, y, z) of the grid for a source with these axes."""
        direction = np.reshape(source.GetDirection(), (3, 3))
        offset = np.array(self.full_offset_mm) + np.array(self.start) * self.spacing_mm
        x, y, z = (float(mm) for mm in np.array(source.GetOrigin()) + direction @ offset[::-1])
        return (x, y, z), (self.spacing_mm[2], self.spacing_mm[1], self.spacing_mm[0])

    def indices(self, axis: int, length: int, spacing_mm: float) -> np.ndarray:
        """Index along one axis of the voxel that contains each source voxel's centre.

        Parameters
        ----------
        axis
            0, 1 or 2 for z, y, x.
        length, spacing_mm
            Of the source along that axis.

        Returns
        -------
        np.ndarray, shape (length,), int64
            Below 0 or from ``size`` on for source voxels outside the grid.
        """
        positions = np.arange(length) * spacing_mm - self.full_offset_mm[axis]
        full = np.floor(positions / self.spacing_mm[axis] + 0.5).astype(np.int64)
        return np.asarray(full - self.start[axis])

    def part(self, box: tuple[slice, slice, slice]) -> "TargetGrid":
        """Grid of some of the voxels."""
        z, y, x = (self.start[axis] + side.start for axis, side in enumerate(box))
        depth, height, width = (side.stop - side.start for side in box)
        return TargetGrid((depth, height, width), self.spacing_mm, self.full_offset_mm, (z, y, x))


def target_grid(source: sitk.Image, keep: np.ndarray, spacing_mm: Triple, size: Size) -> TargetGrid:
    """Grid of the wanted spacing and size that contains the foreground.

    The grid is centred on the source (of two middles the one nearer to its first voxel). Where
    foreground would be outside it is moved as little as is needed; where the foreground is larger
    than the grid, the grid grows to its size.

    Parameters
    ----------
    source
        The volume.
    keep
        (z, y, x), which voxels must lie in the grid: those that are not 0.
    spacing_mm, size
        Of the target.
    """
    axes = [
        _axis(_used(keep, axis), source.GetSpacing()[2 - axis], spacing_mm[axis], size[axis])
        for axis in range(3)
    ]
    z, y, x = axes
    check_size((z.size, y.size, x.size))
    return TargetGrid(
        size=(z.size, y.size, x.size),
        spacing_mm=spacing_mm,
        full_offset_mm=(z.full_offset_mm, y.full_offset_mm, x.full_offset_mm),
        start=(z.start, y.start, x.start),
        shift=(z.shift, y.shift, x.shift),
        enlarged=(z.enlarged, y.enlarged, x.enlarged),
    )


def check_size(size: Size) -> None:
    """Refuse more voxels than a volume can have.

    Raises
    ------
    SparseError
        With the size.
    """
    if math.prod(size) > _MOST_VOXELS:
        text = " x ".join(map(brief, size))
        raise SparseError(
            f"volumes would have {text} voxels (z, y, x), more than {_MOST_VOXELS}: "
            "choose a larger --spacing or a smaller --size"
        )


def native_grid(source: sitk.Image) -> TargetGrid:
    """Grid of the source itself."""
    x, y, z = source.GetSize()
    spacing_x, spacing_y, spacing_z = source.GetSpacing()
    return TargetGrid((z, y, x), (spacing_z, spacing_y, spacing_x))


@dataclass(frozen=True)
class _Axis:
    """One axis of a target grid; see there."""

    size: int
    full_offset_mm: float
    start: int
    shift: int
    enlarged: int


def _used(keep: np.ndarray, axis: int) -> np.ndarray:
    """Which planes along an axis must lie in the grid, shape (length,), bool."""
    return np.asarray((keep != 0).any(axis=tuple(other for other in range(3) if other != axis)))


def _axis(used: np.ndarray, spacing: float, target: float, wanted: int) -> _Axis:
    length = len(used)
    full = max(1, math.ceil(length * spacing / target - _TOLERANCE))
    offset = ((length - 1) * spacing - (full - 1) * target) / 2
    size, start = wanted, (full - wanted) // 2
    shift = 0
    if used.any():
        indices = np.floor((np.flatnonzero(used) * spacing - offset) / target + 0.5).astype(int)
        low, high = int(indices[0]), int(indices[-1])
        size = max(wanted, high - low + 1)
        moved = min(max(start, high - size + 1), low)
        shift = moved - start if size == wanted else 0
        start = moved
    return _Axis(size, offset, start, shift, size - wanted)
