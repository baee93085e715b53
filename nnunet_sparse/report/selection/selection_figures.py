"""Figures of a selection: what was chosen, where, and how well it stands for the rest."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.slice_drawing import add_legend, draw_slice, spread
from nnunet_sparse.data.sliced_volume import read_sliced_volume
from nnunet_sparse.report.selection.coverage import CurvePoint
from nnunet_sparse.report.selection.dataset_pictures import draw_marks
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selectors import first_selector_names
from nnunet_sparse.system.figures import save_figure

_STYLES = ("-", "--", ":")
_COLORS = 10
_INCHES_PER_LETTER = 0.085
_COVERAGE_TICKS = (-0.5, 0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
_NEAREST_TO_ONE = 1e-4


def draw_contact_sheet(
    dataset: RawDataset, selection: Selection, outputs: Sequence[Path], num_cases: int, columns: int
) -> None:
    """Draw chosen slices with their labels, one row per volume.

    Parameters
    ----------
    dataset
        The sparse data set.
    selection
        What was chosen.
    outputs
        Files to be written.
    num_cases
        Number of volumes, spread over all that are annotated.
    columns
        Largest number of slices of a volume.
    """
    names = sorted(selection.cases)
    shown = [names[i] for i in spread(range(len(names)), num_cases)]
    columns = min(columns, max(len(selection.cases[name].slices) for name in shown))
    figure = Figure(figsize=(1.7 * columns + 1, 1.9 * len(shown) + 0.9), layout="constrained")
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for row, name in zip(grid, shown, strict=True):
        case = dataset.training[name]
        volume = read_sliced_volume(dataset, case, case.label, selection.axis)
        slices = selection.cases[name].slices
        chosen = spread(slices, columns)
        for axes, i in zip(row, chosen, strict=False):
            draw_slice(axes, volume, volume.image[i], volume.label[i])
            axes.set_title(f"{i}", fontsize=8)
        for axes in row[len(chosen) :]:
            axes.set_axis_off()
        count = f"{len(slices)} of {selection.cases[name].num_slices} slices"
        if len(chosen) < len(slices):
            count += f", {len(chosen)} shown"
        row[0].set_ylabel(f"{name}\n{count}", fontsize=8)
    add_legend(figure, dataset)
    _title(figure, f"Chosen slices of {dataset.name}")
    save_figure(figure, *outputs)


def draw_strips(
    selection: Selection, num_slices: Mapping[str, int], title: str, outputs: Sequence[Path]
) -> None:
    """Draw one strip per volume with a mark for each chosen slice.

    Parameters
    ----------
    selection
        What was chosen.
    num_slices
        Length of every volume that might have been annotated.
    title
        Above the figure.
    outputs
        Files to be written.
    """
    height = min(14.0, 0.16 * len(num_slices) + 1.3)
    figure = Figure(figsize=(8, max(2.2, height)), layout="constrained")
    draw_marks(figure.subplots(), selection, num_slices)
    _title(figure, title)
    save_figure(figure, *outputs)


def draw_coverage(
    curves: Mapping[str, Sequence[CurvePoint]],
    num_slices: int,
    here: tuple[str, int, float],
    title: str,
    outputs: Sequence[Path],
) -> None:
    """Draw coverage against budget for several selectors.

    Parameters
    ----------
    curves
        By selector.
    num_slices
        Number of slices that could be chosen.
    here
        Name, budget and coverage of the selection that is shown, which is marked.
    title
        Above the figure.
    outputs
        Files to be written.
    """
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes: Axes = figure.subplots()
    known = first_selector_names()  # a selector has its colour whatever others are shown
    for name, points in curves.items():
        number = known.index(name)
        budgets = [point.budget for point in points]
        values = [point.coverage for point in points]
        style = _STYLES[number % len(_STYLES)]
        color = f"C{number % _COLORS}"
        axes.plot(budgets, values, style, color=color, marker=".", label=name)
    name, budget, value = here
    axes.plot([budget], [value], "k*", markersize=12, label=f"this selection ({name})")
    axes.set(xscale="log", xlabel=f"chosen slices (of {num_slices})")
    shown = sorted({point.budget for points in curves.values() for point in points})
    axes.set_xticks(shown, [str(number) for number in shown])
    axes.minorticks_off()
    axes.set_ylabel("mean similarity of the other slices\nto the most similar chosen one")
    # good selectors differ near 1 only
    axes.set_yscale("function", functions=(_spread_near_one, _undo_spread))
    low, high = axes.dataLim.intervaly
    heights = _spread_near_one(np.array([low, high]))
    margin = max(0.05 * float(heights[1] - heights[0]), 1e-3)
    axes.set_ylim(*_undo_spread(heights + np.array([-margin, margin])))
    ticks = [tick for tick in _COVERAGE_TICKS if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside right center")
    axes.set_title(title, fontsize=10)
    save_figure(figure, *outputs)


def draw_foreground(
    shares: Mapping[str, tuple[float, float]], title: str, outputs: Sequence[Path]
) -> None:
    """Draw the share of slices that show each class, among all and among the chosen ones.

    Parameters
    ----------
    shares
        Share of all slices and of the chosen ones, by class.
    title
        Above the figure.
    outputs
        Files to be written.
    """
    figure = Figure(figsize=(1.1 * len(shares) + 3, 3.6), layout="constrained")
    axes: Axes = figure.subplots()
    at = np.arange(len(shares))
    for offset, label, color, which in (
        (-0.2, "all slices", "#bbbbbb", 0),
        (0.2, "chosen slices", "#0072B2", 1),
    ):
        bars = axes.bar(at + offset, [pair[which] for pair in shares.values()], 0.4, color=color)
        bars.set_label(label)
        axes.bar_label(bars, fmt="{:.0%}", fontsize=8)
    axes.set_xticks(at, list(shares), rotation=30 if len(shares) > 4 else 0, fontsize=8)
    axes.set(ylim=(0, 1.1), ylabel="share of slices that show it")
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=10)
    save_figure(figure, *outputs)


def _spread_near_one(coverage: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.maximum(1 - coverage, 0)
    return -np.log(distance + _NEAREST_TO_ONE)


def _undo_spread(height: np.ndarray) -> np.ndarray:
    coverage: np.ndarray = 1 + _NEAREST_TO_ONE - np.exp(-height)
    return coverage


def _title(figure: Figure, title: str) -> None:
    """Set a title that is broken into lines where the figure is narrow."""
    letters = max(20, int(figure.get_figwidth() / _INCHES_PER_LETTER))
    figure.suptitle("\n".join(textwrap.wrap(title, letters)), fontsize=10)
