"""Figures 2 and 3 of the paper: scores against the budget, and over the density by budget."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter

from nnunet_sparse.grid.cell_kinds import DENSE, SPARSE
from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.factor_columns import (
    CHOICE,
    amounts,
    having,
    selector_names,
)
from nnunet_sparse.report.grid.panels import Panel
from nnunet_sparse.report.grid.plot import (
    AMOUNT_TITLES,
    HEIGHT,
    MARKERS,
    SMALL,
    WIDTH,
    Plot,
    asking,
    ink,
    missing_note,
)

_SEQUENTIAL = "cividis"
_LEAST_DISK, _GREATEST_DISK = 11.0, 19.0
# of the labels of an axis, as a share of its length
_LEAST_STEP = 0.12
_LEGEND_ROWS = 18
_FRACTION = "volume fraction $s$"
_BUDGET_TITLES = {
    "rho": "budget $\\rho s$",
    "slices_per_volume": "budget: slices\nof each volume\ntimes $s$",
    "budget": "slices in all",
}
_CostOf = Callable[[Result], float | None]


class _Draw(Protocol):
    def __call__(self, axes: Axes, /, panel: Panel, kind: str) -> None: ...


def budget_plots(shown: Sequence[Panel]) -> list[Plot]:
    """Fig. 2 and 3: IoU against slices (a to d), and over the density by budget (e to h).

    Parameters
    ----------
    shown
        Panels of 2D or of 3D.
    """
    against = cost_plots(shown, _num_slices, "annotated slices")
    found = []
    for first, panel in zip(against, asking(shown, SPARSE), strict=True):
        found += [first, *_of_amounts(panel, "equal budgets", _draw_equal_budgets)]
    return found


def cell_plots(shown: Sequence[Panel]) -> list[Plot]:
    """Map of the IoU of each (rho, s), with lines of equal budget; the paper has no such figure.

    Parameters
    ----------
    shown
        Panels of 2D or of 3D.
    """
    return [
        plot
        for panel in asking(shown, SPARSE)
        for plot in _of_amounts(panel, "each cell", _draw_cells)
    ]


def _of_amounts(panel: Panel, title: str, draw: _Draw) -> list[Plot]:
    """A plot for each way of saying how much is annotated."""
    return [
        Plot(
            f"{panel.title}: {title}",
            partial(draw, panel=panel, kind=kind),
            panel.task,
            panel.configuration,
        )
        for kind in amounts(panel.of_kind(SPARSE))
    ]


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
        for panel in asking(shown, SPARSE)
    ]


def _num_slices(result: Result) -> float | None:
    return float(result.num_slices) if result.num_slices > 0 else None


def _draw_against_budget(axes: Axes, panel: Panel, cost: _CostOf, unit: str) -> None:
    """Draw the mean over repeats of each cell, and for each s a line through those of amounts."""
    asked, dense = (panel.of_kind(kind) for kind in (SPARSE, DENSE))
    fractions, names = sorted(asked["s"].unique()), selector_names(asked)
    costs: list[float] = []
    for number, s in enumerate(fractions):
        of_fraction = having(asked, s=s)
        colour = mpl.colormaps[_SEQUENTIAL](0.9 * number / max(1, len(fractions) - 1))
        line = _line(of_fraction, cost)
        label = f"s = {s:g}" + missing_note(line[1])
        # one selector needs no marker of its own
        first = number if len(names) == 1 else 0
        for k, choice in enumerate(names, first):
            chosen = having(of_fraction, **dict(zip(CHOICE, choice, strict=True)))
            if len(chosen):
                look = _marker(k) | {"color": colour, "linestyle": ""}
                look |= {"label": label} if len(names) == 1 else {}
                axes.plot(*_points(chosen, cost, "amount", "seed"), **look)
        of_line: dict[str, Any] = {"label": label} if len(names) > 1 else {}
        axes.plot(*line, color=colour, linewidth=1, **of_line)
        costs += line[0].tolist()
    for k, name in enumerate(names.values() if len(names) > 1 else ()):
        axes.plot([], [], color="white", linestyle="", label=name, **_marker(k))
    _draw_dense(axes, dense)
    if asked["result"].notna().any():
        _use_log_scale(axes, costs)
    else:
        axes.text(0.5, 0.5, "missing", ha="center", transform=axes.transAxes)
        axes.set_xticks([])
    if not pd.concat([asked, dense])["result"].notna().any():
        axes.set_yticks([])
    axes.set(xlabel=unit, ylabel="batched IoU")
    axes.legend(fontsize=SMALL)
    axes.grid(alpha=0.3)


def _marker(number: int) -> dict[str, Any]:
    shape = MARKERS[number % len(MARKERS)]
    return {"marker": shape, "markeredgecolor": "black", "markeredgewidth": 0.4}


def _points(trainings: pd.DataFrame, cost: _CostOf, *factors: str) -> np.ndarray:
    """(2, groups): mean cost and IoU of trainings with the same factors; NaN where missing."""
    costs = trainings["result"].map(cost, na_action="ignore").astype(float)
    groups = trainings.assign(cost=costs).groupby(list(factors))
    return groups[["cost", "batched_IoU"]].mean().to_numpy().T


def _line(trainings: pd.DataFrame, cost: _CostOf) -> np.ndarray:
    """(2, n): points of all amounts, with NaN between amounts of different kinds."""
    gap = np.full((2, 1), np.nan)
    kinds = [trainings.dropna(subset=kind) for kind in amounts(trainings)]
    parts = [part for rows in kinds for part in (gap, _points(rows, cost, "amount"))]
    return np.hstack(parts[1:])


def _use_log_scale(axes: Axes, costs: Iterable[float]) -> None:
    """Logarithmic axis with a tick at each cost, and plain numbers where there is room for them."""
    ticks = sorted({cost for cost in costs if np.isfinite(cost) and cost > 0})
    axes.tick_params(axis="x", labelsize=SMALL)
    if not ticks:
        return
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    labelled = [ticks[0]]
    for tick in ticks[1:]:
        if np.log(tick / labelled[-1]) >= _LEAST_STEP * np.log(ticks[-1] / ticks[0]):
            labelled.append(tick)
    axes.set_xticks(labelled, [f"{x:.0f}" if x >= 100 else f"{x:.3g}" for x in labelled])
    axes.xaxis.set_minor_locator(FixedLocator(ticks))


def _draw_equal_budgets(axes: Axes, panel: Panel, kind: str) -> None:
    """Draw the mean IoU of each cell over its amount, with a line through those of one budget.

    Where the amount is the budget itself, they are drawn over the volume fraction.
    """
    across = "s" if kind == "budget" else kind
    trainings, dense = panel.of_kind(SPARSE).dropna(subset=kind), panel.of_kind(DENSE)
    spent = trainings[kind] if kind == "budget" else trainings[kind] * trainings["s"]
    # 0.1 * 0.2 is not 0.02
    trainings = trainings.assign(spent=spent.astype(float).round(6))
    budgets = sorted(trainings["spent"].unique())
    for number, budget in enumerate(budgets):
        means = having(trainings, spent=budget).groupby(across)["batched_IoU"].mean()
        colour = mpl.colormaps[_SEQUENTIAL](0.9 * number / max(1, len(budgets) - 1))
        look = _marker(number) | {"color": colour, "linewidth": 1.2}
        label = _budget_name(budget, kind) + missing_note(means.to_numpy())
        axes.plot(means.index.astype(float), means.to_numpy(), label=label, **look)
    _draw_dense(axes, dense)
    places = sorted(float(value) for value in trainings[across].unique())
    axes.set(xscale="log", xlim=(places[0] / 1.3, places[-1] * 1.3))
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.minorticks_off()
    if trainings["batched_IoU"].isna().all():
        axes.text(0.5, 0.5, "missing", ha="center", transform=axes.transAxes)
    if not pd.concat([trainings, dense])["batched_IoU"].notna().any():
        axes.set_yticks([])
    axes.set(xlabel=_FRACTION if across == "s" else AMOUNT_TITLES[kind], ylabel="batched IoU")
    axes.legend(
        title=_BUDGET_TITLES[kind],
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        fontsize=SMALL,
        title_fontsize=SMALL,
        ncols=-(-len(budgets) // _LEGEND_ROWS),
    )
    axes.grid(alpha=0.3)


def _budget_name(budget: float, kind: str) -> str:
    return f"{100 * budget:.3g} %" if kind == "rho" else f"{budget:g}"


def _draw_dense(axes: Axes, dense: pd.DataFrame) -> None:
    """Draw a line at the mean of dense annotation."""
    if len(dense):
        level = dense["batched_IoU"].mean()
        label = "dense" + missing_note(np.array([level]))
        axes.axhline(level, color="black", linewidth=1, linestyle="--", label=label)


def _draw_cells(axes: Axes, panel: Panel, kind: str) -> None:
    """Draw the mean IoU of each (amount, s), with lines along which the budget is the same."""
    trainings = panel.of_kind(SPARSE).dropna(subset=kind)
    means = trainings.groupby([kind, "s"])["batched_IoU"].mean()
    rhos, fractions = (sorted(means.index.unique(name)) for name in (kind, "s"))
    x_range = np.array([min(rhos) / 1.6, max(rhos) * 1.6])
    look: dict[str, Any] = {"color": "#bbbbbb", "linewidth": 0.8, "zorder": 0}
    if kind == "budget":
        for budget in rhos:
            axes.axvline(budget, **look)
    for budget in sorted({round(rho * s, 6) for rho, s in means.index}) if kind != "budget" else ():
        axes.plot(x_range, budget / x_range, **look)
    _draw_means(axes, means, _disk_size(rhos, fractions))
    axes.set(xscale="log", yscale="log", xlim=x_range)
    axes.set_ylim(min(fractions) / 1.6, max(fractions) * 1.6)
    axes.set_xticks(rhos, [f"{rho:g}" for rho in rhos])
    axes.set_yticks(fractions, [f"{s:g}" for s in fractions])
    axes.minorticks_off()
    note = "grey: equal budgets" + "; dashed: missing" * bool(means.isna().any())
    axes.set(xlabel=f"{AMOUNT_TITLES[kind]} ({note})", ylabel=_FRACTION)


def _disk_size(rhos: Sequence[float], fractions: Sequence[float]) -> float:
    """Diameter in points of disks that do not overlap."""
    room = []
    for values, inches in ((rhos, 0.65 * WIDTH), (fractions, 0.8 * HEIGHT)):
        steps = np.diff(np.log([values[0] / 1.6, *values, values[-1] * 1.6]))
        room.append(72 * inches * steps.min() / steps.sum())
    return float(np.clip(min(room), _LEAST_DISK, _GREATEST_DISK))


def _draw_means(axes: Axes, means: "pd.Series[float]", size: float) -> None:
    """Draw a disk with its number at each (rho, s), an empty one where it is missing."""
    known = means.dropna()
    look: dict[str, Any] = {"s": size**2, "linewidths": 0.7}
    for key in means.index[means.isna()]:
        axes.scatter(*key, facecolors="white", edgecolors="#777777", linestyles="--", **look)
    if known.empty:
        return
    x, y = zip(*known.index, strict=True)
    disks = axes.scatter(x, y, c=known.tolist(), cmap=_SEQUENTIAL, edgecolors="black", **look)
    axes.figure.colorbar(disks, ax=axes, label="batched IoU")
    for amount, s, value in zip(x, y, known, strict=True):
        text = axes.text(amount, s, f"{value:.2f}".removeprefix("0"), ha="center", va="center")
        colour = disks.to_rgba(np.array([value]))[0].tolist()
        text.set(fontsize=min(SMALL, size / 2), color=ink(colour))
