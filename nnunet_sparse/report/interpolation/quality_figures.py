"""Figures of the quality of interpolated labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.slice_drawing import add_legend, draw_slice
from nnunet_sparse.data.sliced_volume import SlicedVolume
from nnunet_sparse.report.interpolation.quality_table import of_mean
from nnunet_sparse.system.figures import save_figure

_LEGEND_COLUMNS = 3


@dataclass(frozen=True)
class WorstSlice:
    """A slice that an interpolation got wrong.

    Attributes
    ----------
    title
        What it is.
    volume
        Its volume, with the true label.
    index
        Its index.
    found
        (y, x) interpolated label.
    """

    title: str
    volume: SlicedVolume
    index: int
    found: np.ndarray


def draw_quality(rows: pd.DataFrame, title: str, outputs: Sequence[Path]) -> None:
    """Draw the IoU against the density: the mean of the labels, or the only one.

    Parameters
    ----------
    rows
        Of all densities and methods, see
        :func:`nnunet_sparse.report.interpolation.quality_table.quality_rows`.
    title
        Above the figure.
    outputs
        Files to be written.
    """
    shown = of_mean(rows)
    densities = sorted(shown["rho"].unique())
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    kinds = ("propagated", "slices that were not annotated"), ("mixed", "all slices")
    for axes, (kind, name) in zip(panels, kinds, strict=True):
        for method, of_method in shown.groupby("method", sort=False):
            points = of_method.dropna(subset=kind).sort_values("rho")
            axes.plot(points["rho"], points[kind], marker="o", label=method)
        axes.set(xscale="log", xlabel="density", title=name)
        axes.set_xticks(densities, [f"{rho:g}" for rho in densities])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("batched IoU" + (", mean of the labels" if len(shown) < len(rows) else ""))
    # below, where it hides no point
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=_LEGEND_COLUMNS,
        fontsize=8,
    )
    if not any(axes.lines and np.size(axes.lines[0].get_xdata()) for axes in panels):
        panels[0].text(
            0.5, 0.5, "no object in any volume", transform=panels[0].transAxes, ha="center"
        )
    figure.suptitle(title, fontsize=10)
    save_figure(figure, *outputs)


def draw_worst(dataset: RawDataset, slices: Sequence[WorstSlice], output: Path) -> None:
    """Draw slices with their true and interpolated labels.

    Parameters
    ----------
    dataset
        The dense data set, for the names of the labels.
    slices
        What is shown.
    output
        PNG file.
    """
    figure = Figure(figsize=(8, 2.6 * len(slices) + 0.8), layout="constrained")
    grid = figure.subplots(len(slices), 3, squeeze=False)
    for row, worst in zip(grid, slices, strict=True):
        image, truth = worst.volume.image[worst.index], worst.volume.label[worst.index]
        for axes, label in zip(row, (None, truth, worst.found), strict=True):
            draw_slice(axes, worst.volume, image, label)
        row[0].set_ylabel(worst.title, fontsize=8)
    for axes, title in zip(grid[0], ("image", "truth", "interpolated"), strict=True):
        axes.set_title(title, fontsize=10)
    add_legend(figure, dataset)
    save_figure(figure, output)
