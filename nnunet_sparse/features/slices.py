"""Slices of images as the network sees them."""

from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.features.canvas import Canvas

# share of the voxels at either end of the histogram that are clipped
_TAIL = 0.5
# voxels that the histogram is taken from
_MAX_SAMPLE = 10**6
_PRIME = 2_147_483_647
# a background of zeros that fills most of the volume says nothing about the scale
_MIN_NONZERO = 0.01


def read_slices(images: tuple[Path, ...], reader: str, axis: int, canvas: Canvas) -> np.ndarray:
    """Draw all slices of a volume on the canvas.

    Parameters
    ----------
    images
        Files of the volume, one per channel or one with all.
    reader
        Class name of nnU-Net's reader.
    axis
        Slice axis of the array as read.
    canvas
        Size and scale.

    Returns
    -------
    np.ndarray, shape (num_slices, channel, height, width), float16
        Normalised volume by volume, see :func:`normalised`; around the slice 0.

    Raises
    ------
    SparseError
        If the files cannot be read or are truncated.
    """
    volume, spacing_mm = read_image(images, reader)
    in_plane = np.delete(spacing_mm, axis)
    channels = np.stack([normalised(channel) for channel in volume])
    return draw(np.moveaxis(channels, axis + 1, 0), (in_plane[0], in_plane[1]), canvas)


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


def draw(slices: np.ndarray, spacing_mm: tuple[float, float], canvas: Canvas) -> np.ndarray:
    """Resample slices to the pixels of the canvas and put them into its middle.

    Parameters
    ----------
    slices
        (n, channel, y, x) float32.
    spacing_mm
        Spacing along y and x.
    canvas
        Size and scale; slices that are larger are shrunk to fit.

    Returns
    -------
    np.ndarray, shape (n, channel, height, width), float16
    """
    import torch
    import torch.nn.functional as F

    extents = [n * mm for n, mm in zip(slices.shape[2:], spacing_mm, strict=True)]
    limits = (canvas.height, canvas.width)
    pixel_mm = max(
        [canvas.pixel_mm, *(extent / limit for extent, limit in zip(extents, limits, strict=True))]
    )
    size = [
        min(limit, max(1, round(extent / pixel_mm)))
        for extent, limit in zip(extents, limits, strict=True)
    ]
    images: Any = torch.from_numpy(np.ascontiguousarray(slices))
    if tuple(size) != slices.shape[2:]:
        images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
    drawn = np.zeros((*slices.shape[:2], *limits), np.float16)
    top, left = ((limit - n) // 2 for limit, n in zip(limits, size, strict=True))
    drawn[:, :, top : top + size[0], left : left + size[1]] = images.numpy()
    return drawn
