"""Verification: a propagated label is dropped where the image does not look like its object.

In the style of the verification of Yeung et al. 2021 (Sli2Vol), of which no implementation is
public. Before a label moves on, the mean intensity of its object (where it comes from) and that of
the object's surroundings are taken; a pixel at which it arrives keeps it if its intensity is nearer
to that of the object. Deviations: several labels at once, each against its own surroundings; means
are weighted by the shares of the labels; a label that is dropped leaves the pixel to the others
that arrive there, in their proportion.
"""

from dataclasses import replace

import numpy as np

from nnunet_sparse.interpolation.propagation import Warp
from nnunet_sparse.interpolation.soft_label import SoftLabel

MARGIN = 6
"""Width of the surroundings in pixels."""


def verified(warp: Warp, slices: np.ndarray) -> Warp:
    """The warp, with verification of what arrives.

    Parameters
    ----------
    warp
        Moves labels between slices.
    slices
        (num_slices, channel, y, x) intensities.
    """

    def verify(moving: SoftLabel, i: int, j: int) -> SoftLabel:
        arrived = warp(moving, i, j)
        if arrived.is_empty:
            return arrived
        return _verify(moving, arrived, slices[i], slices[j])

    return verify


def _verify(
    moving: SoftLabel, arrived: SoftLabel, before: np.ndarray, after: np.ndarray
) -> SoftLabel:
    """Drop labels where the slice is unlike the object; slices are (channel, y, x)."""
    image = np.asarray(after[:, *arrived.box], np.float32)
    shares = arrived.shares.copy()
    for number, value in enumerate(arrived.values):
        inside, outside = _means(moving, value, before)
        unlike = _distance(image, inside) > _distance(image, outside)
        dropped = shares[number] * unlike
        shares[number] -= dropped
        shares *= np.where(dropped > 0, 1 / np.maximum(1 - dropped, 1e-6), 1)
        # where it was alone, rounding must not make others of it
        shares[:, dropped > 1 - 1e-3] = 0
    return replace(arrived, shares=shares).trimmed()


def _means(moving: SoftLabel, value: int, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean intensities (channel,) of an object and of what surrounds it."""
    plane = moving.shares[moving.values.index(value)]
    rows, columns = (np.flatnonzero(plane.any(axis=axis)) for axis in (1, 0))
    first = [max(0, moving.top + rows[0] - MARGIN), max(0, moving.left + columns[0] - MARGIN)]
    end = [moving.top + rows[-1] + 1 + MARGIN, moving.left + columns[-1] + 1 + MARGIN]
    part = np.asarray(image[:, first[0] : end[0], first[1] : end[1]], np.float32)
    weight = np.zeros(part.shape[1:], np.float32)
    shown = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    y, x = moving.top + rows[0] - first[0], moving.left + columns[0] - first[1]
    weight[y : y + shown.shape[0], x : x + shown.shape[1]] = shown
    around = 1 - weight
    inside = (part * weight).sum(axis=(1, 2)) / weight.sum()
    if not around.any():
        return inside, np.full_like(inside, np.inf)
    return inside, (part * around).sum(axis=(1, 2)) / around.sum()


def _distance(image: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Squared distance (y, x) of intensities to a mean."""
    distance: np.ndarray = np.square(image - mean[:, None, None]).sum(axis=0)
    return distance
