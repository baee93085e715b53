"""Bringing arrays of other files onto the voxels of an image, without interpolation.

A viewer may store the axes of an image in another order or backwards, or only a part of it. Then
each voxel of its file still is one voxel of the image, and values are copied, never interpolated.
"""

import numpy as np

from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.data.placement import Placement, place
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
        If the array covers more or less than the image, or it cannot be told which of two readings
        of a header is right. The message names no file.
    """
    placement = place(geometry, image_geometry, lambda p: p.covers(image_geometry))
    if placement.shape != image_geometry.shape:
        raise SparseError(
            f"along the axes of the image it has shape {placement.shape}, the image "
            f"{image_geometry.shape} (z, y, x)"
        )
    if placement.low.any():
        raise _shifted(image_geometry, placement.low)
    return placement.turn(array)


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
        a voxel outside the image is not 0, or it cannot be told which of two readings of a header
        is right. The message names no file.
    """
    marked = np.count_nonzero(array)

    def is_inside(placement: Placement) -> bool:
        return bool(marked == np.count_nonzero(_cut(array, placement, image_geometry)[1]))

    placement = place(geometry, image_geometry, is_inside)
    region, part = _cut(array, placement, image_geometry)
    outside = marked - np.count_nonzero(part)
    if outside and placement.shape == image_geometry.shape:
        raise _shifted(image_geometry, placement.low)
    if outside:
        raise SparseError(
            f"{outside} of its voxels that are not 0 lie outside the image; it has shape "
            f"{geometry.shape}, the image {image_geometry.shape} (z, y, x)"
        )
    return region, part


def _cut(
    array: np.ndarray, placement: Placement, image_geometry: Geometry
) -> tuple[Region, np.ndarray]:
    """Part of the image that an array covers, and the array's voxels there, a view."""
    low = placement.low
    start, stop = (
        np.clip(ends, 0, image_geometry.shape) for ends in (low, low + np.array(placement.shape))
    )
    return _slices(start, stop), placement.turn(array)[_slices(start - low, stop - low)]


def _shifted(image_geometry: Geometry, voxels: np.ndarray) -> SparseError:
    """Error for an array of the image's shape that begins on another voxel."""
    assert image_geometry.affine is not None, "something has been placed on it"
    move = np.eye(4)
    move[:3, 3] = voxels
    moved = Geometry(image_geometry.shape, image_geometry.affine @ move)
    return SparseError(
        "origin, spacing or direction differ, by up to "
        f"{image_geometry.shift_voxels(moved):.2g} voxels"
    )


def _slices(start: np.ndarray, stop: np.ndarray) -> Region:
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return z, y, x
