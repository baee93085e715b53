"""A picture of why a slice was chosen: how uncertain the network is, and what it predicts."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from nnunet_sparse.data.label_colors import label_color

_COLORS = "autumn"
_MOST_OPAQUE = 0.75
_FULL = 255
# pixels of a dash and of the gap behind it
_DASH, _GAP = 5.0, 4.0


def uncertainty_picture(
    picture: Image.Image, uncertainty: np.ndarray, label: np.ndarray
) -> Image.Image:
    """Lay the uncertainty over a slice, and the predicted label as dashed outlines.

    Parameters
    ----------
    picture
        The slice in grey, upright.
    uncertainty
        (rows, columns) uint8, upright; 0 stays clear.
    label
        (rows, columns) integers, upright; 0 has no outline.

    Returns
    -------
    PIL.Image.Image
        In colour, as large as ``picture``.
    """
    shares = uncertainty.astype(np.float64) / _FULL
    colors = mpl.colormaps[_COLORS](1 - shares)
    colors[..., 3] = _MOST_OPAQUE * shares
    heat = Image.fromarray((colors * _FULL).round().astype(np.uint8), "RGBA")
    heat = heat.resize(picture.size, Image.Resampling.NEAREST)
    result = picture.convert("RGB")
    result.paste(heat, mask=heat)
    draw = ImageDraw.Draw(result)
    scale = np.array(picture.size) / np.array(label.shape[::-1])
    for value in np.unique(label[label > 0]).tolist():
        for outline in _outlines(label == value):
            for dash in dashes(outline * scale):
                draw.line([*map(tuple, dash.tolist())], label_color(int(value)), 2)
    return result


def dashes(line: np.ndarray) -> Iterator[np.ndarray]:
    """Cut a line into dashes.

    Parameters
    ----------
    line
        (n, 2) points.

    Yields
    ------
    np.ndarray, shape (m, 2)
        Points of a dash.
    """
    length = np.concatenate([[0], np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum()])
    for start in np.arange(0, length[-1], _DASH + _GAP):
        end = min(start + _DASH, length[-1])
        inside = line[(length > start) & (length < end)]
        ends = [
            [np.interp(place, length, line[:, axis]) for axis in (0, 1)] for place in (start, end)
        ]
        yield np.concatenate([ends[:1], inside, ends[1:]])


def _outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Closed lines (x, y) around the pixels of a mask, in pixels from its upper left corner."""
    padded = np.pad(mask, 1).astype(float)
    axes = Figure().subplots()
    found = axes.contour(padded, [0.5]).allsegs[0]
    # pixel 1 of the padded mask has its middle at 0.5
    return [np.asarray(line) - 0.5 for line in found]
