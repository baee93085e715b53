"""Slices of volumes drawn on one canvas, as the masked autoencoder sees them."""

from pathlib import Path

import numpy as np

from nnunet_sparse.data.normalised_slices import read_normalised_slices
from nnunet_sparse.features.canvas import Canvas


def read_slices(images: tuple[Path, ...], reader: str, axis: int, canvas: Canvas) -> np.ndarray:
    """Draw all slices of a volume on the canvas.

    Parameters
    ----------
    images, reader, axis
        As for :func:`nnunet_sparse.data.normalised_slices.read_normalised_slices`.
    canvas
        Size and scale.

    Returns
    -------
    np.ndarray, shape (num_slices, channel, height, width), float16
        Around the slice 0.

    Raises
    ------
    SparseError
        If the files cannot be read or are truncated.
    """
    volume = read_normalised_slices(images, reader, axis)
    return draw(volume.slices, volume.spacing_mm[1:], canvas)


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
    images = torch.from_numpy(np.ascontiguousarray(slices))
    if tuple(size) != slices.shape[2:]:
        images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
    drawn = np.zeros((*slices.shape[:2], *limits), np.float16)
    top, left = ((limit - n) // 2 for limit, n in zip(limits, size, strict=True))
    drawn[:, :, top : top + size[0], left : left + size[1]] = images.numpy()
    return drawn
