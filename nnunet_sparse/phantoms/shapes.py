"""Geometry of the phantoms: coordinates, smooth random fields, ellipsoids, branching curves.

All anatomy is drawn in the coordinates of a :class:`VoxelGrid`, by default from -1 to 1 along each
axis of the field of view, whatever the number of voxels: z upwards (inferior to superior), y
backwards (anterior to posterior), x to the patient's left. An *implicit shape* is an array that is
positive inside the shape, 0 on its surface, and about 1 at its centre.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

_MAX_STRETCH = 2.0


class Points(NamedTuple):
    """Coordinates of all voxels, broadcastable to (z, y, x), float32."""

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray


_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class VoxelGrid:
    """Voxel grid of one phantom, axes (z, y, x).

    Attributes
    ----------
    shape, spacing_mm
        Number of voxels, and their size.
    matrix, shift
        Where the anatomy lies: a point p of the field of view, from -1 to 1 along each axis, is the
        point ``matrix @ p + shift`` of the anatomy. By default both are the same.
    deformation
        Factor of the amplitude of :func:`warp`.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    matrix: tuple[tuple[float, ...], ...] = _IDENTITY
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deformation: float = 1.0

    @cached_property
    def points(self) -> Points:
        """Voxel centres in the anatomy; by default from -1 to 1."""
        axes = (np.linspace(-1, 1, n, dtype=np.float32) for n in self.shape)
        inside = np.ix_(*axes)
        if self._is_plain:
            return Points(*inside)
        rows = np.array(self.matrix, dtype=np.float32)
        return Points(
            *(
                row[0] * inside[0] + row[1] * inside[1] + row[2] * inside[2] + np.float32(offset)
                for row, offset in zip(rows, self.shift, strict=True)
            )
        )

    @property
    def _is_plain(self) -> bool:
        return self.matrix == _IDENTITY and not any(self.shift)

    def in_view(self, points: np.ndarray) -> np.ndarray:
        """Points of the anatomy (n, 3) in the field of view, the inverse of :attr:`points`."""
        if self._is_plain:
            return points
        moved = np.asarray(points) - np.array(self.shift)
        return np.asarray(np.linalg.solve(np.array(self.matrix), moved.T).T)

    @property
    def scale(self) -> tuple[float, float, float]:
        """Anatomy along half of each axis of the field of view; by default 1."""
        z, y, x = (float(length) for length in np.linalg.norm(np.array(self.matrix), axis=0))
        return z, y, x

    @property
    def stretch(self) -> float:
        """Extent along z that makes a shape of in-plane extent 1 round in mm, within [1/2, 2]."""
        extents_mm = [
            n * s / of for n, s, of in zip(self.shape, self.spacing_mm, self.scale, strict=True)
        ]
        stretch = (extents_mm[1] + extents_mm[2]) / 2 / extents_mm[0]
        return float(np.clip(stretch, 1 / _MAX_STRETCH, _MAX_STRETCH))


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], cells: tuple[float, ...]
) -> np.ndarray:
    """Draw a smooth random field: cubic B-splines with random weights.

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        Shape of the result.
    cells
        Number of spline cells per axis: the more, the finer the structure.

    Returns
    -------
    np.ndarray, float32
        Field of mean 0 and standard deviation 1.
    """
    field = rng.standard_normal([int(np.ceil(c)) + 3 for c in cells], dtype=np.float32)
    for num_voxels, num_cells in zip(shape, cells, strict=True):
        # contracting axis 0 and appending the new one keeps the order of the axes
        field = np.tensordot(field, _spline_weights(num_voxels, num_cells), axes=(0, 1))
    field -= field.mean()
    return field / max(float(field.std()), 1e-6)


def _spline_weights(num_voxels: int, num_cells: float) -> np.ndarray:
    """Values of each cubic B-spline at each voxel. [num_voxels, ceil(num_cells) + 3]"""
    position = np.linspace(0, num_cells, num_voxels, dtype=np.float32)[:, None]
    distance = np.abs(position - np.arange(-1, int(np.ceil(num_cells)) + 2, dtype=np.float32))
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, inner, outer).astype(np.float32)


def warp(
    grid: VoxelGrid, rng: np.random.Generator, amplitude: float, cells: tuple[float, float, float]
) -> Points:
    """Coordinates of the voxels after a smooth random deformation.

    Parameters
    ----------
    grid
        Voxel grid.
    rng
        Source of randomness.
    amplitude
        Standard deviation of the displacement, in units of half the field of view.
    cells
        Spline cells per axis, see :func:`smooth_field`.
    """
    amplitude = amplitude * grid.deformation
    return Points(*(p + amplitude * smooth_field(rng, grid.shape, cells) for p in grid.points))


def ellipsoid(
    points: Points,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    angle: float = 0.0,
) -> np.ndarray:
    """Implicit ellipsoid, turned by ``angle`` (radians) about z; an infinite radius: a cylinder."""
    z, y, x = (p - np.float32(c) for p, c in zip(points, centre, strict=True))
    if angle:
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        y, x = cos * y - sin * x, sin * y + cos * x
    squares = [(p / np.float32(r)) ** 2 for p, r in zip((z, y, x), radii, strict=True)]
    distance: np.ndarray = 1 - np.sqrt(squares[0] + squares[1] + squares[2])
    return distance


def random_voxel(rng: np.random.Generator, mask: np.ndarray) -> tuple[int, int, int] | None:
    """One voxel of a mask, uniformly; None if the mask is empty."""
    candidates = np.flatnonzero(mask)
    if candidates.size == 0:
        return None
    z, y, x = np.unravel_index(rng.choice(candidates), mask.shape)
    return int(z), int(y), int(x)


def blob(
    grid: VoxelGrid,
    rng: np.random.Generator,
    voxel: tuple[int, int, int],
    radius: float,
    roughness: float,
) -> np.ndarray:
    """Implicit irregular ball, about round in mm.

    Parameters
    ----------
    grid
        Voxel grid.
    rng
        Source of randomness.
    voxel
        Its centre.
    radius
        In-plane radius in units of half the field of view; at least 1.2 voxels are drawn.
    roughness
        Standard deviation of the surface, relative to the radius.
    """
    centre = [float(np.broadcast_to(p, grid.shape)[voxel]) for p in grid.points]
    stretched = (radius * grid.stretch, radius, radius)
    radii = [
        max(r * rng.uniform(0.75, 1.25), 2.4 * of / n)
        for r, n, of in zip(stretched, grid.shape, grid.scale, strict=True)
    ]
    ball = ellipsoid(grid.points, (centre[0], centre[1], centre[2]), (radii[0], radii[1], radii[2]))
    cells = tuple(
        min(1.5 * of / r, n / 2) for r, n, of in zip(radii, grid.shape, grid.scale, strict=True)
    )
    return ball + roughness * smooth_field(rng, grid.shape, cells)


def branching_curve(
    rng: np.random.Generator,
    root: np.ndarray,
    heading: np.ndarray,
    *,
    length: float,
    generations: int,
    spread: float,
) -> list[tuple[np.ndarray, int]]:
    """Grow a tree of curved branches.

    Parameters
    ----------
    rng
        Source of randomness.
    root
        Start of the stem. [3]
    heading
        Direction of the stem. [3]
    length
        Length of the stem; each generation is shorter by about a fifth.
    generations
        Number of generations, at least 1.
    spread
        Typical turn at a fork, as the tangent of its angle.

    Returns
    -------
    list of tuple of np.ndarray and int
        Points along each branch (n, 3), and its generation, from 0 for the stem.
    """
    branches = []
    front = [(root, heading / np.linalg.norm(heading), length)]
    for generation in range(generations):
        children = []
        for start, direction, reach in front:
            steps = direction + 0.25 * spread * np.cumsum(rng.standard_normal((8, 3)), axis=0) / 4
            points = start + np.cumsum(steps * (reach / 8), axis=0)
            path = np.concatenate([start[None], points])
            fine = np.linspace(0, 8, max(9, int(reach * 200)))
            knots = np.arange(9)
            branches.append(
                (np.stack([np.interp(fine, knots, path[:, i]) for i in range(3)], 1), generation)
            )
            for _ in range(rng.integers(2, 4)):
                turned = steps[-1] + spread * rng.standard_normal(3)
                turned /= np.linalg.norm(turned)
                children.append((points[-1], turned, reach * rng.uniform(0.65, 0.95)))
        front = children
    return branches


def stamp(
    mask: np.ndarray, points: np.ndarray, thickness: float, region: np.ndarray | None = None
) -> None:
    """Set the voxels within half a ``thickness`` (voxels) of points in the field of view. [n, 3]"""
    shape = np.array(mask.shape)
    centres = (points + 1) / 2 * (shape - 1)
    reach = int(thickness / 2)
    offsets = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3), -1).reshape(-1, 3)
    offsets = offsets[np.linalg.norm(offsets, axis=1) <= max(thickness / 2, 0.5)]
    voxels = (np.rint(centres).astype(int)[:, None] + offsets).reshape(-1, 3)
    voxels = voxels[np.all((voxels >= 0) & (voxels < shape), axis=1)]
    z, y, x = voxels.T
    mask[z, y, x] = True if region is None else region[z, y, x]
