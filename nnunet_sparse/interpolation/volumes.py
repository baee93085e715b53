"""Image volumes as the interpolator sees them."""

from pathlib import Path

import numpy as np

from nnunet_sparse.errors import SparseError
from nnunet_sparse.features.slices import normalised
from nnunet_sparse.image_io import read_image


def read_slices(images: tuple[Path, ...], reader: str, axis: int) -> np.ndarray:
    """Slices of a volume in their own pixels.

    Parameters
    ----------
    images
        Files of the volume, one per channel or one with all.
    reader
        Class name of nnU-Net's reader.
    axis
        Slice axis of the array as read.

    Returns
    -------
    np.ndarray, shape (num_slices, channel, y, x), float16
        Normalised volume by volume, see :func:`nnunet_sparse.features.slices.normalised`.

    Raises
    ------
    SparseError
        If the files cannot be read or are truncated, or hold values that are no finite numbers.
    """
    volume, _ = read_image(images, reader)
    if not np.isfinite(volume).all():
        names = ", ".join(map(str, images))
        raise SparseError(f"{names} holds values that are no finite numbers")
    channels = np.stack([normalised(channel) for channel in volume])
    return np.moveaxis(channels, axis + 1, 0).astype(np.float16)
