"""Bringing arrays of other files onto the voxels of an image, without interpolation.

A viewer may store the axes of an image in another order or backwards, or only a part of it. Then
each voxel of its file still is one voxel of the image, and values are copied, never interpolated.
"""

import itertools

import numpy as np

from nnunet_sparse.data.geometry import MAX_SHIFT_VOXELS, Geometry
from nnunet_sparse.system.errors import SparseError

Region = tuple[slice, slice, slice]


def whole_of(array: np.ndarray, geometry: Geometry, image_geometry: Geometry) -> np.ndarray:
    """Bring an array that covers an image onto its voxels.

    Parameters
    ----------
    array, geometry
        Voxels of the other file and where they lie.
    image_geometry
        Where the image's voxels lie.

    Returns
    -------
    np.ndarray
        A view, as large as the image.

    Raises
    ------
    SparseError
        If the array covers more or less than the image. The message names no file.
    """
    aligned, low = _aligned(array, geometry, image_geometry)
    if aligned.shape != image_geometry.shape:
        raise SparseError(
            f"along the axes of the image it has shape {aligned.shape}, the image "
            f"{image_geometry.shape} (z, y, x)"
        )
    if low.any():
        raise _shifted(image_geometry, low)
    return aligned


def part_of(
    array: np.ndarray, geometry: Geometry, image_geometry: Geometry
) -> tuple[Region, np.ndarray]:
    """Find the part of an image that an array covers.

    Along axes of length 1 the array's spacing is of no importance.

    Parameters
    ----------
    array, geometry
        Voxels of the other file and where they lie; anything but 0 must lie in the image.
    image_geometry
        Where the image's voxels lie.

    Returns
    -------
    tuple of slices and np.ndarray
        What to index the image with, and the array's voxels there, a view.

    Raises
    ------
    SparseError
        If a corner lies more than a tenth of a voxel beside each voxel of the (continued) image, or
        a voxel outside the image is not 0. The message names no file.
    """
    aligned, low = _aligned(array, geometry, image_geometry)
    start, stop = (
        np.clip(ends, 0, image_geometry.shape) for ends in (low, low + np.array(aligned.shape))
    )
    part = aligned[_slices(start - low, stop - low)]
    outside = np.count_nonzero(array) - np.count_nonzero(part)
    if outside and aligned.shape == image_geometry.shape:
        raise _shifted(image_geometry, low)
    if outside:
        raise SparseError(
            f"{outside} of its voxels that are not 0 lie outside the image; it has shape "
            f"{geometry.shape}, the image {image_geometry.shape} (z, y, x)"
        )
    return _slices(start, stop), part


def _aligned(
    array: np.ndarray, geometry: Geometry, image_geometry: Geometry
) -> tuple[np.ndarray, np.ndarray]:
    """Turn an array to the axes of the image.

    Returns a view, and the index of the image's voxel (z, y, x) on which its first one lies, which
    may be outside the image.
    """
    steps = _steps(_affine(geometry), _affine(image_geometry))
    first = _nearest_voxel(geometry, image_geometry)
    _check_on_voxels(geometry, image_geometry, steps, first)
    last = first + steps @ (np.array(geometry.shape) - 1)
    axes = np.abs(steps).argmax(axis=1)
    aligned = array.transpose(axes)[tuple(slice(None, None, s) for s in steps.sum(axis=1))]
    return aligned, np.minimum(first, last)


def _shifted(image_geometry: Geometry, voxels: np.ndarray) -> SparseError:
    """Error for an array of the image's shape that begins on another voxel."""
    move = np.eye(4)
    move[:3, 3] = voxels
    moved = Geometry(image_geometry.shape, _affine(image_geometry) @ move)
    return SparseError(
        "origin, spacing or direction differ, by up to "
        f"{image_geometry.shift_voxels(moved):.2g} voxels"
    )


def _affine(geometry: Geometry) -> np.ndarray:
    affine = geometry.affine
    if affine is None or not (np.isfinite(affine).all() and np.linalg.det(affine)):
        raise SparseError("its header gives no valid position")
    return affine


def _steps(affine: np.ndarray, image_affine: np.ndarray) -> np.ndarray:
    """Which axis of the image each axis of the array runs along: a signed permutation matrix.

    Row: axis of the image; column: axis of the array; 1 for the same direction, -1 for the other.
    """
    (_, directions), (_, image_directions) = map(_spacing_and_directions, (affine, image_affine))
    cosines = np.linalg.solve(image_directions, directions)
    columns = range(3)
    rows = max(
        itertools.permutations(columns), key=lambda rows: np.abs(cosines[rows, columns]).sum()
    )
    steps = np.zeros((3, 3), int)
    steps[rows, columns] = np.where(cosines[rows, columns] < 0, -1, 1)
    return steps


def _nearest_voxel(geometry: Geometry, image_geometry: Geometry) -> np.ndarray:
    """Voxel of the image on which the array's first one lies; may lie outside."""
    position = np.linalg.solve(_affine(image_geometry), _affine(geometry)[:, 3])[:3]
    return np.rint(position).astype(int)


def _check_on_voxels(
    geometry: Geometry, image_geometry: Geometry, steps: np.ndarray, first: np.ndarray
) -> None:
    """Refuse arrays that differ by more than the order of axes, flips and a shift by voxels."""
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = steps, first
    wanted = Geometry(geometry.shape, _affine(image_geometry) @ move)
    shift = wanted.shift_voxels(geometry)
    if shift > MAX_SHIFT_VOXELS:
        reason = _main_difference(_affine(geometry), _affine(wanted), np.array(geometry.shape))
        raise SparseError(f"{reason}; it is up to {shift:.2g} voxels off")


def _main_difference(affine: np.ndarray, wanted: np.ndarray, shape: np.ndarray) -> str:
    """Say what moves the voxels most: spacing, direction or origin."""
    spacing, directions = _spacing_and_directions(affine)
    wanted_spacing, wanted_directions = _spacing_and_directions(wanted)
    length = (shape - 1) * wanted_spacing
    cosines = np.clip((directions * wanted_directions).sum(axis=0), -1, 1)
    angle = np.degrees(np.arccos(cosines))[shape > 1].max(initial=0)
    moved = {
        f"its spacing is {_mm(spacing)}, the image's {_mm(wanted_spacing)}": np.abs(
            (shape - 1) * (spacing - wanted_spacing)
        ).max(),
        f"its axes are turned by {angle:.3g} degrees": (
            length * np.linalg.norm(directions - wanted_directions, axis=0)
        ).max(),
        "its origin lies between the voxels of the image": np.linalg.norm((affine - wanted)[:3, 3]),
    }
    return max(moved, key=lambda reason: float(moved[reason]))


def _spacing_and_directions(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    spacing: np.ndarray = np.linalg.norm(affine[:3, :3], axis=0)
    return spacing, affine[:3, :3] / spacing


def _mm(spacing: np.ndarray) -> str:
    return " x ".join(f"{mm:.4g}" for mm in spacing) + " mm"


def _slices(start: np.ndarray, stop: np.ndarray) -> Region:
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return z, y, x
