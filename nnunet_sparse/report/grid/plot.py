"""One pair of axes of a figure, and what those of all figures have in common.

Colours can be told apart by people who are colour-blind, and without colour by their lightness or
by markers.
"""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunet_sparse.report.grid.panels import Panel

# Okabe and Ito 2008, without yellow
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDTH, HEIGHT = 4.6, 3.6
"""Of one pair of axes, in inches."""

LEGEND_LINE = 0.17
"""Height that a line of a legend below the axes adds, in inches."""

SMALL = 8
"""Size of small letters, in points."""

AMOUNT_TITLES = {
    "rho": "density $\\rho$",
    "slices_per_volume": "slices of each volume",
    "budget": "slices in all",
}
"""Titles of axes by how it is said how much is annotated."""

_TITLE_LETTERS = 50
# relative luminance of what is as far from black as from white
_MIDDLE_LUMINANCE = 0.18


@dataclass(frozen=True)
class Plot:
    """One pair of axes, that can be shown alone or as part of a figure.

    Attributes
    ----------
    title
        What it shows.
    draw
        Draws it into axes of matplotlib.
    task, configuration
        What it can be filtered by; empty for what belongs to all.
    height
        In inches; more where a long legend stands below the axes.
    """

    title: str
    draw: Callable[[Axes], None] = field(repr=False)
    task: str = ""
    configuration: str = ""
    height: float = HEIGHT


def arranged(plots: Sequence[Plot], columns: int = 2) -> Figure:
    """Plots side by side in rows."""
    columns = max(1, min(columns, len(plots)))
    rows = max(1, -(-len(plots) // columns))
    of_rows = [plots[row * columns : (row + 1) * columns] for row in range(rows)]
    heights = [max((plot.height for plot in row), default=HEIGHT) for row in of_rows]
    figure = Figure(figsize=(WIDTH * columns, sum(heights)), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).ravel()
    for axes, plot in zip(places, plots, strict=False):
        plot.draw(axes)
        axes.set_title(textwrap.fill(plot.title, _TITLE_LETTERS), fontsize=10)
    for axes in places[len(plots) :]:
        axes.set_axis_off()
    return figure


def asking(shown: Sequence[Panel], kind: str) -> list[Panel]:
    """Panels with trainings of a kind."""
    return [panel for panel in shown if len(panel.of_kind(kind))]


def ink(colour: Sequence[float]) -> str:
    """Black or white, whatever can be read on a colour."""
    red, green, blue = (channel**2.2 for channel in colour[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if luminance > _MIDDLE_LUMINANCE else "white"


def missing_note(values: np.ndarray) -> str:
    """What a legend adds to the name of something without any number."""
    return "" if np.isfinite(values).any() else ": missing"
