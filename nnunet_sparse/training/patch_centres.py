"""Voxels of some labels in a label map that is read in parts."""

from typing import Any

import numpy as np

# tries before all planes are searched
_TRIES = 50


def draw_voxel(
    label: Any, values: tuple[int, ...], planes: np.ndarray, rng: np.random.Generator
) -> tuple[int, int, int] | None:
    """Draw uniformly from the voxels of some planes that have one of some values.

    Voxels are tried at random first; only if none of them has such a value all planes are read.

    Parameters
    ----------
    label
        Indexed as an array (z, y, x); it may read from a file.
    values
        Values that a voxel may have.
    planes
        Planes along the first axis.
    rng
        Source of randomness.

    Returns
    -------
    tuple of int or None
        The voxel (z, y, x); None if there is none.
    """
    if len(planes) == 0 or not values:
        return None
    _, rows, columns = label.shape
    for _ in range(_TRIES):
        z = int(planes[int(rng.integers(len(planes)))])
        y, x = int(rng.integers(rows)), int(rng.integers(columns))
        if int(label[z, y, x]) in values:
            return z, y, x
    # read at once, which is many times faster than plane by plane
    found = np.flatnonzero(np.isin(np.asarray(label[:])[planes], values))
    if len(found) == 0:
        return None
    index, pixel = divmod(int(found[int(rng.integers(len(found)))]), rows * columns)
    return int(planes[index]), *divmod(pixel, columns)


def draw_pixel(
    plane: np.ndarray, values: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, int]:
    """Draw uniformly from the pixels (y, x) of a plane that have one of some values.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = np.flatnonzero(np.isin(plane, values))
    y, x = divmod(int(found[int(rng.integers(len(found)))]), plane.shape[1])
    return y, x
