"""The figures of the paper, for the cells that an experiment asks for.

Cells that are missing are called so. Colours can be told apart by people who are colour-blind, and
without colour by their lightness or by markers.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from nnunet_sparse.grid.cells import DENSE, INTERPOLATED, SPARSE
from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.paired_statistics import interpolated_against_sparse
from nnunet_sparse.report.grid.panels import (
    CHOICE,
    Cell,
    Panel,
    amounts,
    grouped,
    having,
    levels,
    selector_names,
)
from nnunet_sparse.selection.budget import Budget

# Okabe and Ito 2008, without yellow
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_SEQUENTIAL = "cividis"
_DIVERGING = "PuOr"  # orange: below 0
_LEAST_RANGE = 0.001
_WIDTH = 4.6
_HEIGHT = 3.6
_TITLE_LETTERS = 50
_SMALL = 8
_LEAST_DISK, _GREATEST_DISK = 11.0, 19.0
_APART = 1.03
# of the labels of an axis, as a share of its length
_LEAST_STEP = 0.09
# relative luminance of what is as far from black as from white
_MIDDLE_LUMINANCE = 0.18
# names of axes
_AMOUNTS = {
    "rho": "density $\\rho$",
    "slices_per_volume": "slices of each volume",
    "budget": "slices in all",
}
_CostOf = Callable[[Result], float | None]


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
    """

    title: str
    draw: Callable[[Axes], None] = field(repr=False)
    task: str = ""
    configuration: str = ""


def arranged(plots: Sequence[Plot], columns: int = 2) -> Figure:
    """Plots side by side in rows."""
    columns = max(1, min(columns, len(plots)))
    rows = max(1, -(-len(plots) // columns))
    figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, plot in zip(places, plots, strict=False):
        plot.draw(axes)
        axes.set_title(textwrap.fill(plot.title, _TITLE_LETTERS), fontsize=10)
    for axes in places[len(plots) :]:
        axes.set_axis_off()
    return figure


def mean_of(results: Iterable[Result]) -> float:
    """Mean batched IoU of those that are defined; NaN for none."""
    values = _ious(results)
    return float(np.mean(values)) if values else float("nan")


def _ious(results: Iterable[Result]) -> list[float]:
    return [r.batched_IoU for r in results if r.batched_IoU is not None]


def drop_plots(shown: Sequence[Panel]) -> list[Plot]:
    """Fig. 1: mean drop against dense annotation, averaged over tasks, for each rho and s."""
    found = []
    for dimensions in levels(shown, "dimensions"):
        chosen = [panel for panel in shown if panel.dimensions == dimensions]
        chosen = _asking(_asking(chosen, SPARSE), DENSE)
        if not chosen:
            continue
        tasks = {panel.task for panel in chosen}
        number = f"{len(tasks)} task{'s' if len(tasks) > 1 else ''}"
        if len(chosen) > len(tasks):
            number += f", trained in {len(chosen)} ways"
        title = f"{dimensions}: batched IoU minus dense, {number}"
        found.append(Plot(title, partial(_draw_drops, shown=chosen)))
    return found


def _asking(shown: Sequence[Panel], kind: str) -> list[Panel]:
    """Panels that have cells of a kind."""
    return [panel for panel in shown if having(panel.asked, kind=kind)]


def _draw_drops(axes: Axes, shown: Sequence[Panel]) -> None:
    cells = [cell for panel in shown for cell in having(panel.asked, kind=SPARSE)]
    every, fractions = levels(cells, "amount"), levels(cells, "s")
    # where one task is missing, a mean over the others would mislead
    table = np.mean([_drops(panel, every, fractions) for panel in shown], axis=0)
    known = np.abs(table[np.isfinite(table)])
    norm = CenteredNorm(0, max([_LEAST_RANGE, *known]))
    axes.set_facecolor("#dddddd")
    image = axes.imshow(table, cmap=_DIVERGING, norm=norm, aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(table):
        text = f"{value:+.3f}" if np.isfinite(value) else "missing"
        colour = _ink(image.cmap(norm(value))) if np.isfinite(value) else "black"
        axes.text(j, i, text, ha="center", va="center", fontsize=_SMALL, color=colour)
    axes.set_xticks(range(len(every)), [amount.text for amount in every])
    axes.set_yticks(range(len(fractions)), [f"{s:g}" for s in fractions])
    kinds = amounts(cells)
    axes.set(xlabel=_AMOUNTS[kinds[0]] if len(kinds) == 1 else "annotated slices")
    axes.set(ylabel="volume fraction $s$")
    if known.size:
        axes.figure.colorbar(image, ax=axes)


def _drops(panel: Panel, every: Sequence[Budget], fractions: Sequence[float]) -> np.ndarray:
    """Difference to dense annotation of each (s, amount); NaN where something is missing."""
    sparse = having(panel.asked, kind=SPARSE)
    dense = mean_of(panel.results_of(having(panel.asked, kind=DENSE)))
    means = [
        [mean_of(panel.results_of(having(sparse, amount=amount, s=s))) for amount in every]
        for s in fractions
    ]
    return np.array(means) - dense


def _ink(colour: Sequence[float]) -> str:
    """Black or white, whatever can be read on a colour."""
    red, green, blue = (channel**2.2 for channel in colour[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if luminance > _MIDDLE_LUMINANCE else "white"


def budget_plots(shown: Sequence[Panel]) -> list[Plot]:
    """Fig. 2 and 3: IoU against slices, and for each (rho, s) with lines of equal budget.

    Parameters
    ----------
    shown
        Panels of 2D or of 3D.
    """
    against = cost_plots(shown, _num_slices, "annotated slices")
    found = []
    for first, panel in zip(against, _asking(shown, SPARSE), strict=True):
        draws = [
            partial(_draw_cells, panel=panel, kind=kind)
            for kind in amounts(having(panel.asked, kind=SPARSE))
        ]
        title = f"{panel.title}: each cell"
        found += [first, *(Plot(title, draw, panel.task, panel.configuration) for draw in draws)]
    return found


def cost_plots(shown: Sequence[Panel], cost_of: _CostOf, unit: str) -> list[Plot]:
    """IoU against the cost of annotation.

    Parameters
    ----------
    shown
        Panels of 2D or of 3D.
    cost_of
        What the annotation of a training costs, None where it is not known.
    unit
        What it is counted in.
    """
    return [
        Plot(
            panel.title,
            partial(_draw_against_budget, panel=panel, cost=cost_of, unit=unit),
            panel.task,
            panel.configuration,
        )
        for panel in _asking(shown, SPARSE)
    ]


def _num_slices(result: Result) -> float | None:
    return float(result.num_slices) if result.num_slices > 0 else None


def _draw_against_budget(axes: Axes, panel: Panel, cost: _CostOf, unit: str) -> None:
    """Draw the mean over repeats of each cell, and for each s a line through those of amounts."""
    asked, dense = (having(panel.asked, kind=kind) for kind in (SPARSE, DENSE))
    fractions, names = levels(asked, "s"), selector_names(asked)
    costs: list[float] = []
    for number, s in enumerate(fractions):
        of_fraction = having(asked, s=s)
        colour = mpl.colormaps[_SEQUENTIAL](0.9 * number / max(1, len(fractions) - 1))
        line = _points(panel, of_fraction, cost, "amount")
        label = f"s = {s:g}" + _missing(line[1])
        # one selector needs no marker of its own
        first = number if len(names) == 1 else 0
        for k, choice in enumerate(names, first):
            cells = having(of_fraction, **dict(zip(CHOICE, choice, strict=True)))
            if cells:
                look = _marker(k) | {"color": colour, "linestyle": ""}
                look |= {"label": label} if len(names) == 1 else {}
                axes.plot(*_points(panel, cells, cost, "amount", "seed"), **look)
        of_line: dict[str, Any] = {"label": label} if len(names) > 1 else {}
        axes.plot(*line, color=colour, linewidth=1, **of_line)
        costs += line[0].tolist()
    for k, name in enumerate(names.values() if len(names) > 1 else ()):
        axes.plot([], [], color="white", linestyle="", label=name, **_marker(k))
    if dense:
        level = mean_of(panel.results_of(dense))
        label = "dense" + _missing(np.array([level]))
        axes.axhline(level, color="black", linewidth=1, linestyle="--", label=label)
    if panel.results_of(asked):
        _use_log_scale(axes, costs)
    else:
        axes.text(0.5, 0.5, "missing", ha="center", transform=axes.transAxes)
        axes.set_xticks([])
    if not panel.results_of([*asked, *dense]):
        axes.set_yticks([])
    axes.set(xlabel=unit, ylabel="batched IoU")
    axes.legend(fontsize=_SMALL)
    axes.grid(alpha=0.3)


def _marker(number: int) -> dict[str, Any]:
    shape = MARKERS[number % len(MARKERS)]
    return {"marker": shape, "markeredgecolor": "black", "markeredgewidth": 0.4}


def _points(panel: Panel, cells: Sequence[Cell], cost: _CostOf, *factors: str) -> np.ndarray:
    """(2, groups): mean cost and mean IoU of cells with the same factors; NaN where missing."""
    found = []
    for group in grouped(cells, *factors).values():
        results = panel.results_of(group)
        costs = [known for r in results if (known := cost(r)) is not None]
        found.append((np.mean(costs) if costs else np.nan, mean_of(results)))
    return np.array(found).T


def _missing(values: np.ndarray) -> str:
    return "" if np.isfinite(values).any() else ": missing"


def _use_log_scale(axes: Axes, costs: Iterable[float]) -> None:
    """Logarithmic axis with a tick at each cost, and plain numbers where there is room for them."""
    ticks = sorted({cost for cost in costs if np.isfinite(cost) and cost > 0})
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    if not ticks:
        return
    labelled = [ticks[0]]
    for tick in ticks[1:]:
        if np.log(tick / labelled[-1]) >= _LEAST_STEP * np.log(ticks[-1] / ticks[0]):
            labelled.append(tick)
    axes.set_xticks(labelled, [f"{x:.0f}" if x >= 100 else f"{x:.3g}" for x in labelled])
    axes.xaxis.set_minor_locator(FixedLocator(ticks))


def _draw_cells(axes: Axes, panel: Panel, kind: str) -> None:
    """Draw the mean IoU of each (amount, s), with lines along which the budget is the same."""
    asked = [cell for cell in having(panel.asked, kind=SPARSE) if cell.variant.amount.kind == kind]
    cells = {(key[0].number, key[1]): group for key, group in grouped(asked, "amount", "s").items()}
    rhos, fractions = (sorted({key[k] for key in cells}) for k in (0, 1))
    x_range = np.array([min(rhos) / 1.6, max(rhos) * 1.6])
    look: dict[str, Any] = {"color": "#bbbbbb", "linewidth": 0.8, "zorder": 0}
    if kind == "budget":
        for budget in rhos:
            axes.axvline(budget, **look)
    for budget in sorted({round(rho * s, 6) for rho, s in cells}) if kind != "budget" else ():
        axes.plot(x_range, budget / x_range, **look)
    means = {key: mean_of(panel.results_of(group)) for key, group in cells.items()}
    _draw_means(axes, means, _disk_size(rhos, fractions))
    axes.set(xscale="log", yscale="log", xlim=x_range)
    axes.set_ylim(min(fractions) / 1.6, max(fractions) * 1.6)
    axes.set_xticks(rhos, [f"{rho:g}" for rho in rhos])
    axes.set_yticks(fractions, [f"{s:g}" for s in fractions])
    axes.minorticks_off()
    note = "grey: equal budgets" + "; dashed: missing" * any(map(np.isnan, means.values()))
    axes.set(xlabel=f"{_AMOUNTS[kind]} ({note})", ylabel="volume fraction $s$")


def _disk_size(rhos: Sequence[float], fractions: Sequence[float]) -> float:
    """Diameter in points of disks that do not overlap."""
    room = []
    for values, inches in ((rhos, 0.65 * _WIDTH), (fractions, 0.8 * _HEIGHT)):
        steps = np.diff(np.log([values[0] / 1.6, *values, values[-1] * 1.6]))
        room.append(72 * inches * steps.min() / steps.sum())
    return float(np.clip(min(room), _LEAST_DISK, _GREATEST_DISK))


def _draw_means(axes: Axes, means: Mapping[tuple[float, float], float], size: float) -> None:
    """Draw a disk with its number at each (rho, s), an empty one where it is missing."""
    known = {key: value for key, value in means.items() if np.isfinite(value)}
    look: dict[str, Any] = {"s": size**2, "linewidths": 0.7}
    for key in set(means) - set(known):
        axes.scatter(*key, facecolors="white", edgecolors="#777777", linestyles="--", **look)
    if not known:
        return
    x, y = zip(*known, strict=True)
    values = list(known.values())
    disks = axes.scatter(x, y, c=values, cmap=_SEQUENTIAL, edgecolors="black", **look)
    axes.figure.colorbar(disks, ax=axes, label="batched IoU")
    for key, value in known.items():
        text = axes.text(*key, f"{value:.2f}".removeprefix("0"), ha="center", va="center")
        colour = disks.to_rgba(np.array([value]))[0].tolist()
        text.set(fontsize=min(_SMALL, size / 2), color=_ink(colour))


def interpolation_plots(shown: Sequence[Panel]) -> list[Plot]:
    """Fig. 4: IoU with and without mask interpolation against the density."""
    return [
        Plot(
            panel.title,
            partial(_draw_interpolation, panel=panel, kind=kind),
            panel.task,
            panel.configuration,
        )
        for panel in _asking(shown, INTERPOLATED)
        for kind in amounts(having(panel.asked, kind=INTERPOLATED))
    ]


def _draw_interpolation(axes: Axes, panel: Panel, kind: str) -> None:
    every = levels(having(panel.asked, kind=INTERPOLATED), "amount")
    rhos = [amount.number for amount in every if amount.kind == kind]
    lines = interpolation_lines(panel, kind)
    for number, (name, of_rho) in enumerate(lines.items()):
        values = [of_rho.get(rho, []) for rho in rhos]
        means = np.array([np.mean(found) if found else np.nan for found in values])
        # beside each other, so that no line hides another's deviation
        apart = _APART ** (number - (len(lines) - 1) / 2)
        axes.errorbar(
            np.array(rhos) * apart,
            means,
            yerr=[_deviation(found) for found in values],
            color=OKABE_ITO[number % len(OKABE_ITO)],
            marker=MARKERS[number % len(MARKERS)],
            capsize=2,
            linewidth=1,
            label=name + _missing(means),
        )
    for rho in sorted(set(rhos).difference(*lines.values())):
        place = axes.get_xaxis_transform()
        axes.text(rho, 0.5, "missing", rotation=90, ha="center", va="center", transform=place)
    if not any(lines.values()):
        axes.set_yticks([])
    axes.set(xscale="log", xlim=(min(rhos) / 1.3, max(rhos) * 1.3))
    axes.set_xticks(rhos, [f"{rho:g}" for rho in rhos])
    axes.minorticks_off()
    axes.legend(fontsize=_SMALL)
    axes.set(xlabel=_AMOUNTS[kind], ylabel="batched IoU (mean ± standard deviation)")
    axes.grid(alpha=0.3)


def interpolation_lines(panel: Panel, kind: str = "rho") -> dict[str, dict[float, list[float]]]:
    """Batched IoU of each line and density, with and without interpolation.

    Of cells with another ``kind`` of amount it is the number of slices that a line goes over.
    Trainings without a counterpart are left out; one that has several counts once.
    """
    filled = [c for c in having(panel.asked, kind=INTERPOLATED) if c.variant.amount.kind == kind]
    asked = grouped(filled, "s", "interpolation")
    lines: dict[str, dict[float, dict[tuple[Cell, int], Result]]] = {}
    for s, method in asked:
        lines.setdefault(f"without, s = {s:g}", {})
        lines.setdefault(f"{method}, s = {s:g}", {})
    for pair in interpolated_against_sparse(panel.results):
        variant = pair.first.variant
        if variant.amount.kind != kind:
            continue
        s, method = variant.s, variant.text("interpolation")
        for name, result in (("without", pair.second), (method, pair.first)):
            of_rho = lines[f"{name}, s = {s:g}"].setdefault(variant.amount.number, {})
            of_rho[Cell.of_result(result), result.repeat] = result
    found = {
        name: {rho: _ious(results.values()) for rho, results in of_rho.items()}
        for name, of_rho in lines.items()
    }
    return {
        name: {rho: values for rho, values in of_rho.items() if values}
        for name, of_rho in found.items()
    }


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def selector_plots(shown: Sequence[Panel]) -> list[Plot]:
    """Fig. 5: each training's deviation from the mean of its cell (rho, s), by selector."""
    return [
        Plot(panel.title, partial(_draw_deviations, panel=panel), panel.task, panel.configuration)
        for panel in _asking(shown, SPARSE)
    ]


def _draw_deviations(axes: Axes, panel: Panel) -> None:
    deviations = selector_deviations(panel)
    boxes = axes.boxplot(
        list(deviations.values()),
        tick_labels=[f"{name}\nn = {len(values)}" for name, values in deviations.items()],
        patch_artist=True,
        medianprops={"color": "black"},
        flierprops={"markersize": 3},
    )
    for number, (box, values) in enumerate(zip(boxes["boxes"], deviations.values(), strict=True)):
        box.set_facecolor(OKABE_ITO[number % len(OKABE_ITO)])
        box.set_alpha(0.6)
        if not values:
            reason = "missing" if len(deviations) > 1 else "no other selector"
            axes.text(number + 1, 0.55, reason, ha="center", transform=axes.get_xaxis_transform())
    if not any(deviations.values()):
        axes.set_yticks([])
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("batched IoU minus mean of cell")
    axes.tick_params(axis="x", labelsize=_SMALL)
    axes.grid(alpha=0.3, axis="y")


def selector_deviations(panel: Panel) -> dict[str, list[float]]:
    """Deviation of each training from the mean of its cell, by selector (and scope).

    The mean of a cell is that of its selectors, each of which counts alike; cells in which one
    selector alone is done say nothing and are left out.
    """
    asked = having(panel.asked, kind=SPARSE)
    names = selector_names(asked)
    found: dict[str, list[float]] = {name: [] for name in names.values()}
    for cells in grouped(asked, "amount", "s").values():
        groups = grouped(cells, *CHOICE)
        of_names = {names[key]: _ious(panel.results_of(group)) for key, group in groups.items()}
        done = {name: values for name, values in of_names.items() if values}
        if len(done) > 1:
            mean = float(np.mean([np.mean(values) for values in done.values()]))
            for name, values in done.items():
                found[name].extend(value - mean for value in values)
    return found
