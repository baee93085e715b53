"""Writing figures so that equal content is an equal file."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnunet_sparse.system.atomic import atomic_path

_DPI = 110
_SMOOTHED = 50


def save_figure(figure: Figure, *outputs: Path) -> None:
    """Write a figure in one step for each file; their endings give the formats (PNG, SVG, PDF)."""
    for output in outputs:
        with atomic_path(output) as temporary:
            write_figure(figure, temporary, output.suffix.removeprefix("."))


def write_figure(figure: Figure, output: Path | BinaryIO, form: str) -> None:
    """Write a figure in a format (``png``, ``svg``, ``pdf``) to a file or stream."""
    metadata = {{"svg": "Date", "pdf": "CreationDate"}.get(form, "Software"): None}
    # names of parts of an SVG are random otherwise
    with mpl.rc_context({"svg.hashsalt": "nnsparse"}):
        figure.savefig(output, format=form, dpi=_DPI, metadata=metadata)


def draw_loss(losses: Sequence[float], output: Path, what: str) -> None:
    """Draw the loss of every step of a training, and its moving average.

    Parameters
    ----------
    losses
        Loss of every step.
    output
        PNG file.
    what
        What the loss is, for the axis.
    """
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color="#999999", linewidth=0.6, label="batch")
    if len(losses) > _SMOOTHED:
        mean = np.convolve(losses, np.ones(_SMOOTHED) / _SMOOTHED, mode="valid")
        axes.plot(steps[_SMOOTHED - 1 :], mean, color="#1f77b4", label=f"mean of {_SMOOTHED}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="step", ylabel=what, ylim=(0, None))
    axes.legend()
    save_figure(figure, output)
