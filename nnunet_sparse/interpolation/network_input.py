"""Image volumes as the interpolator sees them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.features.slices import normalised
from nnunet_sparse.system.errors import SparseError

# slices that are hardly, or infinitely, farther apart than pixels
_ASPECTS = 1 / 3, 10.0


@dataclass(frozen=True)
class Volume:
    """Slices of a volume in their own pixels.

    Attributes
    ----------
    slices
        (num_slices, channel, y, x) float16, in memory or on disk; normalised volume by volume, see
        :func:`nnunet_sparse.features.slices.normalised`.
    aspect
        Distance between slices in pixels along y and x, within a third and ten.
    """

    slices: np.ndarray
    aspect: tuple[float, float] = (1.0, 1.0)


def read_volume(images: tuple[Path, ...], reader: str, axis: int) -> Volume:
    """Read a volume.

    Parameters
    ----------
    images
        Files of the volume, one per channel or one with all.
    reader
        Class name of nnU-Net's reader.
    axis
        Slice axis of the array as read.

    Raises
    ------
    SparseError
        If the files cannot be read or are truncated, or hold values that are no finite numbers.
    """
    volume, spacing = read_image(images, reader)
    if not np.isfinite(volume).all():
        names = ", ".join(map(str, images))
        raise SparseError(f"{names} holds values that are no finite numbers")
    y, x = np.clip(spacing[axis] / np.delete(spacing, axis), *_ASPECTS).tolist()
    shape = np.moveaxis(volume, axis + 1, 0).shape
    slices = np.empty(shape, np.float16)
    for number, channel in enumerate(volume):
        slices[:, number] = np.moveaxis(normalised(channel), axis, 0)
    return Volume(slices, (y, x))
