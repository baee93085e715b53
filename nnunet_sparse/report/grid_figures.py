"""The figures of the paper, for the cells of an experiment that are done.

Cells that are missing stay empty. Colours can be told apart by people who are colour-blind, and
markers tell lines apart without colour.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from nnunet_sparse.budget import share_name
from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid_statistics import interpolated_against_sparse

# Okabe and Ito 2008, without yellow
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_SEQUENTIAL = "cividis"
_WIDTH = 4.6
_HEIGHT = 3.6


@dataclass(frozen=True)
class Panel:
    """Results that are drawn together: one task, trained in one way."""

    title: str
    results: tuple[Result, ...]


def panels(results: Iterable[Result]) -> list[Panel]:
    """Results by task and way of training, in the order in which they come."""
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        groups.setdefault((result.task, *result.way), []).append(result)
    names = [(task, configuration, trainer) for task, configuration, trainer, _ in groups]
    found = []
    for (task, configuration, trainer, plans), group in groups.items():
        title = f"{task}, {configuration}"
        if sum(name[:2] == (task, configuration) for name in names) > 1:
            title += f", {trainer}"
        if names.count((task, configuration, trainer)) > 1:
            title += f", {plans}"
        found.append(Panel(title, tuple(group)))
    return found


def dimensions(result: Result) -> str:
    """``2D`` or ``3D``."""
    return "2D" if result.configuration.startswith("2d") else "3D"


def mean_of(results: Iterable[Result]) -> float:
    """Mean batched IoU of those that are defined; NaN for none."""
    values = [r.batched_IoU for r in results if r.batched_IoU is not None]
    return float(np.mean(values)) if values else float("nan")


def figure_drop(results: Sequence[Result]) -> Figure:
    """Fig. 1: mean drop against dense annotation, averaged over tasks, for each rho and s."""
    kinds = sorted({dimensions(r) for r in results})
    figure = _figure(1, len(kinds))
    for axes, kind in zip(_grid(figure, 1, len(kinds))[0], kinds, strict=True):
        shown = panels(r for r in results if dimensions(r) == kind)
        drops = [_drops(panel.results) for panel in shown]
        rhos = sorted({rho for drop in drops for rho, _ in drop})
        fractions = sorted({s for drop in drops for _, s in drop})
        table = np.full((len(fractions), len(rhos)), np.nan)
        for i, s in enumerate(fractions):
            for j, rho in enumerate(rhos):
                values = [drop[rho, s] for drop in drops if (rho, s) in drop]
                # a mean over other tasks than those of its neighbours would mislead
                if values and len(values) == len(drops):
                    table[i, j] = np.mean(values)
        _heat_map(axes, table, rhos, fractions)
        tasks = "task" if len(drops) == 1 else "tasks"
        axes.set_title(f"{kind}: batched IoU minus dense, {len(drops)} {tasks}", fontsize=10)
    return figure


def _drops(results: Sequence[Result]) -> dict[tuple[float, float], float]:
    """Mean difference to dense annotation of each (rho, s)."""
    dense = mean_of(r for r in results if r.kind == "dense")
    cells: dict[tuple[float, float], list[Result]] = {}
    for result in results:
        if result.kind == "sparse":
            cells.setdefault((result.rho, result.s), []).append(result)
    return {key: mean_of(group) - dense for key, group in cells.items()}


def _heat_map(
    axes: Any, table: np.ndarray, rhos: Sequence[float], fractions: Sequence[float]
) -> None:
    axes.set_facecolor("#dddddd")
    if table.size:
        image = np.ma.masked_invalid(table)
        low = min(float(image.min()), 0.0) if image.count() else -1.0
        axes.imshow(image, cmap=_SEQUENTIAL, vmin=low, vmax=max(0.0, -low / 50), aspect="auto")
        for (i, j), value in np.ndenumerate(table):
            light = np.isfinite(value) and value < low / 2
            text = f"{value:+.3f}" if np.isfinite(value) else "missing"
            colour = "white" if light else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(rhos)), [f"{rho:g}" for rho in rhos])
    axes.set_yticks(range(len(fractions)), [f"{s:g}" for s in fractions])
    axes.set(xlabel="density $\\rho$", ylabel="volume fraction $s$")


def figure_budget(
    results: Sequence[Result],
    budget_of: Callable[[Result], float] | None = None,
    unit: str = "annotated slices",
) -> Figure:
    """Fig. 2 and 3: IoU against the budget, and for each (rho, s) with lines of equal budget.

    Parameters
    ----------
    results
        Of 2D or of 3D.
    budget_of
        What the annotation of a training costs; by default its slices.
    unit
        What it is counted in.
    """
    cost = budget_of or (lambda r: float(r.num_slices))
    shown = panels(results)
    figure = _figure(len(shown), 2)
    for (left, right), panel in zip(_grid(figure, len(shown), 2), shown, strict=True):
        _draw_against_budget(left, panel, cost, unit)
        _draw_cells(right, panel)
    return figure


def _draw_against_budget(
    axes: Any, panel: Panel, cost: Callable[[Result], float], unit: str
) -> None:
    sparse = [r for r in panel.results if r.kind == "sparse"]
    fractions = sorted({r.s for r in sparse})
    for number, s in enumerate(fractions):
        cells: dict[tuple[Any, ...], list[Result]] = {}
        for r in sparse:
            if r.s == s:
                cells.setdefault((r.rho, r.selector, r.scope, r.seed), []).append(r)
        points = [(np.mean([cost(r) for r in group]), mean_of(group)) for group in cells.values()]
        colour = mpl.colormaps[_SEQUENTIAL](0.9 * number / max(1, len(fractions) - 1))
        x, y = np.array(points).T
        axes.plot(
            x,
            y,
            linestyle="",
            marker=MARKERS[number % len(MARKERS)],
            color=colour,
            label=f"s = {s:g}",
            markeredgecolor="black",
            markeredgewidth=0.4,
        )
        rhos = sorted({r.rho for r in sparse if r.s == s})
        of_rho = [[r for r in sparse if r.s == s and r.rho == rho] for rho in rhos]
        line = [(np.mean([cost(r) for r in group]), mean_of(group)) for group in of_rho]
        axes.plot(*np.array(line).T, color=colour, linewidth=1)
    dense = mean_of(r for r in panel.results if r.kind == "dense")
    if np.isfinite(dense):
        axes.axhline(dense, color="black", linewidth=1, linestyle="--", label="dense")
    if sparse:
        axes.set_xscale("log")
        axes.legend(fontsize=7)
    axes.set(xlabel=unit, ylabel="batched IoU")
    axes.set_title(panel.title, fontsize=10)
    axes.grid(alpha=0.3)


def _draw_cells(axes: Any, panel: Panel) -> None:
    """Mean IoU of each (rho, s), with lines along which the budget is the same."""
    sparse = [r for r in panel.results if r.kind == "sparse"]
    cells: dict[tuple[float, float], list[Result]] = {}
    for r in sparse:
        cells.setdefault((r.rho, r.s), []).append(r)
    means = {key: mean_of(group) for key, group in cells.items()}
    axes.set_title(f"{panel.title}: each cell", fontsize=10)
    if not means:
        axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center")
        return
    rhos, fractions = (sorted({key[k] for key in means}) for k in (0, 1))
    x_low, x_high = min(rhos) / 1.6, max(rhos) * 1.6
    for budget in sorted({round(rho * s, 6) for rho in rhos for s in fractions}):
        x = np.array([x_low, x_high])
        axes.plot(x, budget / x, color="#bbbbbb", linewidth=0.8, zorder=0)
    x, y = np.array(list(means)).T
    points = axes.scatter(
        x, y, c=list(means.values()), cmap=_SEQUENTIAL, s=260, edgecolors="black", linewidths=0.5
    )
    values = np.array(list(means.values()))
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (rho, s), value in means.items():
        colour = "white" if value < middle else "black"
        axes.text(
            rho,
            s,
            f"{value:.2f}".removeprefix("0"),
            ha="center",
            va="center",
            fontsize=6.5,
            color=colour,
        )
    for rho in rhos:
        for s in fractions:
            if (rho, s) not in means:
                axes.text(rho, s, "missing", ha="center", va="center", fontsize=6.5)
    axes.set(xscale="log", yscale="log", xlim=(x_low, x_high))
    axes.set_ylim(min(fractions) / 1.6, max(fractions) * 1.6)
    axes.set_xticks(rhos, [f"{rho:g}" for rho in rhos])
    axes.set_yticks(fractions, [f"{s:g}" for s in fractions])
    axes.minorticks_off()
    axes.set(xlabel="density $\\rho$ (grey: equal budgets)", ylabel="volume fraction $s$")
    axes.figure.colorbar(points, ax=axes, label="batched IoU")


def figure_interpolation(results: Sequence[Result]) -> Figure:
    """Fig. 4: IoU with and without mask interpolation against the density."""
    shown = [p for p in panels(results) if any(r.interpolation for r in p.results)]
    shown = shown or panels(results)[:1]
    columns = min(2, max(1, len(shown)))
    rows = -(-len(shown) // columns)
    figure = _figure(rows, columns)
    places = [axes for row in _grid(figure, rows, columns) for axes in row]
    for axes, panel in zip(places, shown, strict=False):
        _draw_interpolation(axes, panel)
    for axes in places[len(shown) :]:
        axes.set_axis_off()
    return figure


def _draw_interpolation(axes: Any, panel: Panel) -> None:
    pairs = interpolated_against_sparse(panel.results)
    lines: dict[str, dict[float, list[Result]]] = {}
    for pair in pairs:
        name = f"{pair.first.interpolation}, s = {pair.first.s:g}"
        lines.setdefault(f"without, s = {pair.first.s:g}", {}).setdefault(
            pair.first.rho, []
        ).append(pair.second)
        lines.setdefault(name, {}).setdefault(pair.first.rho, []).append(pair.first)
    for number, (name, of_rho) in enumerate(lines.items()):
        rhos = sorted(of_rho)
        means = [mean_of(of_rho[rho]) for rho in rhos]
        spread = [_deviation(of_rho[rho]) for rho in rhos]
        axes.errorbar(
            rhos,
            means,
            yerr=spread,
            color=OKABE_ITO[number % len(OKABE_ITO)],
            marker=MARKERS[number % len(MARKERS)],
            capsize=2,
            linewidth=1,
            label=name,
        )
    if lines:
        ticks = sorted({rho for of_rho in lines.values() for rho in of_rho})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{rho:g}" for rho in ticks])
        axes.minorticks_off()
        axes.legend(fontsize=7)
    else:
        axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center")
    axes.set(xlabel="density $\\rho$", ylabel="batched IoU (std)")
    axes.set_title(panel.title, fontsize=10)
    axes.grid(alpha=0.3)


def figure_selectors(results: Sequence[Result]) -> Figure:
    """Fig. 5: each training's deviation from the mean of its cell (rho, s), by selector."""
    shown = panels(r for r in results if r.kind == "sparse")
    shown = shown or [Panel("no cell is done", ())]
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure = _figure(rows, columns)
    places = [axes for row in _grid(figure, rows, columns) for axes in row]
    for axes, panel in zip(places, shown, strict=False):
        deviations = selector_deviations(panel.results)
        names = sorted(deviations)
        if names:
            boxes = axes.boxplot(
                [deviations[name] for name in names],
                tick_labels=[f"{name}\nn = {len(deviations[name])}" for name in names],
                patch_artist=True,
                medianprops={"color": "black"},
                flierprops={"markersize": 3},
            )
            for number, box in enumerate(boxes["boxes"]):
                box.set_facecolor(OKABE_ITO[number % len(OKABE_ITO)])
                box.set_alpha(0.6)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_ylabel("batched IoU minus mean of cell")
        axes.set_title(panel.title, fontsize=10)
        axes.tick_params(axis="x", labelsize=8)
        axes.grid(alpha=0.3, axis="y")
    for axes in places[len(shown) :]:
        axes.set_axis_off()
    return figure


def selector_deviations(results: Sequence[Result]) -> dict[str, list[float]]:
    """Deviation of each training from the mean of its cell, by selector (and scope).

    The mean of a cell is that of its selectors, each of which counts alike; cells with one
    selector say nothing and are left out.
    """
    scopes = {r.scope for r in results}

    def name(result: Result) -> str:
        return result.selector + (f" ({result.scope})" if len(scopes) > 1 else "")

    cells: dict[tuple[float, float], dict[str, list[float]]] = {}
    for r in results:
        if r.kind == "sparse" and r.batched_IoU is not None:
            cell = cells.setdefault((r.rho, r.s), {})
            cell.setdefault(name(r), []).append(r.batched_IoU)
    found: dict[str, list[float]] = {}
    for cell in cells.values():
        if len(cell) > 1:
            mean = float(np.mean([np.mean(values) for values in cell.values()]))
            for selector, values in cell.items():
                found.setdefault(selector, []).extend(value - mean for value in values)
    return found


def _deviation(results: Sequence[Result]) -> float:
    values = [r.batched_IoU for r in results if r.batched_IoU is not None]
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def cell_name(rho: float, s: float) -> str:
    """Density and fraction as data sets are named."""
    return f"rho {share_name(rho)}, s {share_name(s)}"


def _figure(rows: int, columns: int) -> Figure:
    size = (_WIDTH * max(1, columns), _HEIGHT * max(1, rows))
    return Figure(figsize=size, layout="constrained")


def _grid(figure: Figure, rows: int, columns: int) -> Any:
    return figure.subplots(max(1, rows), max(1, columns), squeeze=False)
