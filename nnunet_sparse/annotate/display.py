"""How images and labels are shown: intensity windows, names and colours."""

from collections.abc import Sequence

import numpy as np

from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.data.sliced_volume import window_of

CT_WINDOWS = {
    "soft tissue": (-160.0, 240.0),
    "lung": (-1350.0, 150.0),
    "bone": (-450.0, 1050.0),
    "liver": (-20.0, 140.0),
}
"""What is drawn black and white, in HU, of a CT."""


def is_ct(channel_name: str) -> bool:
    """Whether a channel holds Hounsfield units, as nnU-Net tells it."""
    return channel_name.upper() == "CT"


def window_of_slices(
    image: np.ndarray, axis: int, slices: Sequence[int], channel_name: str
) -> tuple[float, float]:
    """Intensities that are drawn black and white.

    Parameters
    ----------
    image
        (z, y, x).
    axis
        Slice axis.
    slices
        Those that decide; all where there is none.
    channel_name
        Of the channel, by which a CT is told.
    """
    planes = np.moveaxis(image, axis, 0)
    return window_of(planes[list(slices)] if len(slices) else planes, channel_name)


def label_colors(names: dict[int, str], ignore_label: int) -> dict[int, str]:
    """Colour of each label that is painted, as ``#RRGGBB``."""
    return {value: label_color(value) for value in names if 0 < value != ignore_label}


def body_box(plane: np.ndarray, window: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns around what is brighter than the window's black; all where nothing is."""
    bright = plane > window[0] + 0.05 * (window[1] - window[0])
    if not bright.any():
        return slice(0, plane.shape[0]), slice(0, plane.shape[1])
    rows, columns = (np.flatnonzero(bright.any(axis=k)) for k in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
