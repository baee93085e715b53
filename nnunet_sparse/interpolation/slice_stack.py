"""Slices of a volume as the correspondence network sees them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.data.normalised_slices import read_normalised_slices

# slices that are hardly, or infinitely, farther apart than pixels
_ASPECTS = 1 / 3, 10.0


@dataclass(frozen=True)
class SliceStack:
    """Slices of a volume in their own pixels.

    Attributes
    ----------
    slices
        (num_slices, channel, y, x) float16, in memory or on disk; normalised volume by volume, see
        :func:`nnunet_sparse.data.normalised_slices.normalised`.
    aspect
        Distance between slices in pixels along y and x, from 1/3 to 10.
    """

    slices: np.ndarray
    aspect: tuple[float, float] = (1.0, 1.0)


def read_slice_stack(images: tuple[Path, ...], reader: str, axis: int) -> SliceStack:
    """Read a volume.

    Parameters
    ----------
    images, reader, axis
        As for :func:`nnunet_sparse.data.normalised_slices.read_normalised_slices`.

    Raises
    ------
    SparseError
        If the files cannot be read or are truncated, or hold values that are no finite numbers.
    """
    volume = read_normalised_slices(images, reader, axis, must_be_finite=True)
    across, *in_plane = volume.spacing_mm
    y, x = np.clip(across / np.array(in_plane), *_ASPECTS).tolist()
    return SliceStack(np.ascontiguousarray(volume.slices, np.float16), (y, x))
