"""Slices of a volume with normalised intensities, as networks that learn from images get them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.system.errors import SparseError

# percentage of the voxels at either end of the histogram that are clipped
_TAIL = 0.5
# voxels that the histogram is taken from
_MAX_SAMPLE = 10**6
_PRIME = 2_147_483_647
# a background of zeros that fills most of the volume says nothing about the scale
_MIN_NONZERO = 0.01


@dataclass(frozen=True)
class NormalisedSlices:
    """Slices of a volume.

    Attributes
    ----------
    slices
        (num_slices, channel, y, x) float32, normalised volume by volume, see :func:`normalised`.
    spacing_mm
        Voxel sizes across the slices, and along y and x.
    """

    slices: np.ndarray
    spacing_mm: tuple[float, float, float]


def read_normalised_slices(
    images: tuple[Path, ...], reader: str, axis: int, must_be_finite: bool = False
) -> NormalisedSlices:
    """Read a volume slice by slice.

    Parameters
    ----------
    images
        Files of the volume, one per channel or one with all.
    reader
        Class name of nnU-Net's reader.
    axis
        Slice axis of the array as read.
    must_be_finite
        Refuse values that are no finite numbers, which are clipped otherwise.

    Raises
    ------
    SparseError
        If the files cannot be read or are truncated.
    """
    volume, spacing = read_image(images, reader)
    if must_be_finite and not np.isfinite(volume).all():
        names = ", ".join(map(str, images))
        raise SparseError(f"{names} holds values that are no finite numbers")
    channels = np.stack([normalised(channel) for channel in volume])
    y, x = np.delete(spacing, axis).tolist()
    return NormalisedSlices(np.moveaxis(channels, axis + 1, 0), (float(spacing[axis]), y, x))


def normalised(volume: np.ndarray) -> np.ndarray:
    """Clip the ends of the histogram, then subtract the mean and divide by the deviation.

    Parameters
    ----------
    volume
        float32. Voxels that are 0 do not count for the scale, unless nearly all are. NaN counts as
        the smallest value.

    Returns
    -------
    np.ndarray
        float32 of the same shape; 0 where the volume is constant.
    """
    flat = volume.reshape(-1)
    # a prime, so that it does not hit one column only
    sample = flat if flat.size <= _MAX_SAMPLE else flat[np.arange(_MAX_SAMPLE) * _PRIME % flat.size]
    sample = sample[np.isfinite(sample)]
    shown = sample[sample != 0]
    if len(shown) >= max(1, _MIN_NONZERO * len(sample)):
        sample = shown
    if not len(sample):
        return np.zeros_like(volume)
    low, high = np.percentile(sample, (_TAIL, 100 - _TAIL)).astype(np.float32)
    clipped: np.ndarray = np.nan_to_num(volume, nan=low, posinf=high, neginf=low)
    np.clip(clipped, low, high, out=clipped)
    mean, deviation = (float(f(clipped, dtype=np.float64)) for f in (np.mean, np.std))
    if deviation <= 1e-6 * max(abs(float(low)), abs(float(high))):
        return np.zeros_like(volume)
    clipped -= np.float32(mean)
    clipped /= np.float32(deviation)
    return clipped
