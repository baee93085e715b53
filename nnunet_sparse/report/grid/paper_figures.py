"""Figures 1, 4 and 5 of the paper, for the trainings that an experiment asks for.

Figures 2 and 3 are in :mod:`nnunet_sparse.report.grid.budget_plots`. Cells that are missing are
called so.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm

from nnunet_sparse.grid.cells import DENSE, INTERPOLATED, SPARSE
from nnunet_sparse.report.grid.factor_columns import (
    CHOICE,
    amounts,
    grouped,
    selector_names,
)
from nnunet_sparse.report.grid.paired_statistics import interpolated_against_sparse
from nnunet_sparse.report.grid.panels import Panel, trainings_of_kind
from nnunet_sparse.report.grid.plot import (
    AMOUNT_TITLES,
    MARKERS,
    OKABE_ITO,
    SMALL,
    Plot,
    asking,
    ink,
    missing_note,
)

_DIVERGING = "PuOr"  # orange: below 0
_LEAST_RANGE = 0.001
_APART = 1.03


def drop_plots(shown: Sequence[Panel]) -> list[Plot]:
    """Fig. 1: mean drop against dense annotation, averaged over tasks, for each rho and s."""
    found = []
    for dimensions in sorted({panel.dimensions for panel in shown}):
        chosen = [panel for panel in shown if panel.dimensions == dimensions]
        chosen = asking(asking(chosen, SPARSE), DENSE)
        if not chosen:
            continue
        tasks = {panel.task for panel in chosen}
        number = f"{len(tasks)} task{'s' if len(tasks) > 1 else ''}"
        if len(chosen) > len(tasks):
            number += f", trained in {len(chosen)} ways"
        title = f"{dimensions}: batched IoU minus dense, {number}"
        found.append(Plot(title, partial(_draw_drops, shown=chosen)))
    return found


def _draw_drops(axes: Axes, shown: Sequence[Panel]) -> None:
    trainings = trainings_of_kind(shown, SPARSE)
    every, fractions = (sorted(trainings[name].unique()) for name in ("amount", "s"))
    # where one task is missing, a mean over the others would mislead
    drops = [_drops(panel).reindex(index=fractions, columns=every) for panel in shown]
    table = np.mean(drops, axis=0)
    known = np.abs(table[np.isfinite(table)])
    norm = CenteredNorm(0, max([_LEAST_RANGE, *known]))
    axes.set_facecolor("#dddddd")
    image = axes.imshow(table, cmap=_DIVERGING, norm=norm, aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(table):
        text = f"{value:+.3f}" if np.isfinite(value) else "missing"
        colour = ink(image.cmap(norm(value))) if np.isfinite(value) else "black"
        axes.text(j, i, text, ha="center", va="center", fontsize=SMALL, color=colour)
    axes.set_xticks(range(len(every)), [amount.text for amount in every])
    axes.set_yticks(range(len(fractions)), [f"{s:g}" for s in fractions])
    kinds = amounts(trainings)
    axes.set(xlabel=AMOUNT_TITLES[kinds[0]] if len(kinds) == 1 else "annotated slices")
    axes.set(ylabel="volume fraction $s$")
    if known.size:
        axes.figure.colorbar(image, ax=axes)


def _drops(panel: Panel) -> pd.DataFrame:
    """Difference to dense annotation by s and amount; NaN where something is missing."""
    means = panel.of_kind(SPARSE).groupby(["s", "amount"])["batched_IoU"].mean().unstack()
    return means - panel.of_kind(DENSE)["batched_IoU"].mean()


def interpolation_plots(shown: Sequence[Panel]) -> list[Plot]:
    """Fig. 4: IoU with and without mask interpolation against the density."""
    return [
        Plot(
            panel.title,
            partial(_draw_interpolation, panel=panel, kind=kind),
            panel.task,
            panel.configuration,
        )
        for panel in asking(shown, INTERPOLATED)
        for kind in amounts(panel.of_kind(INTERPOLATED))
    ]


def _draw_interpolation(axes: Axes, panel: Panel, kind: str) -> None:
    rhos = sorted(panel.of_kind(INTERPOLATED)[kind].dropna().unique())
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
            label=name + missing_note(means),
        )
    for rho in sorted(set(rhos).difference(*lines.values())):
        place = axes.get_xaxis_transform()
        axes.text(rho, 0.5, "missing", rotation=90, ha="center", va="center", transform=place)
    if not any(lines.values()):
        axes.set_yticks([])
    axes.set(xscale="log", xlim=(min(rhos) / 1.3, max(rhos) * 1.3))
    axes.set_xticks(rhos, [f"{rho:g}" for rho in rhos])
    axes.minorticks_off()
    axes.legend(fontsize=SMALL)
    axes.set(xlabel=AMOUNT_TITLES[kind], ylabel="batched IoU (mean ± standard deviation)")
    axes.grid(alpha=0.3)


def interpolation_lines(panel: Panel, kind: str = "rho") -> dict[str, dict[float, list[float]]]:
    """Batched IoU of each line and density, with and without interpolation.

    Of cells with another ``kind`` of amount it is the number of slices that a line goes over.
    Trainings without a counterpart are left out; one that has several counts once.
    """
    filled = panel.of_kind(INTERPOLATED).dropna(subset=kind)
    lines: dict[str, dict[float, list[float]]] = {}
    for (s, method), _ in grouped(filled, "s", "interpolation"):
        lines |= {f"without, s = {s:g}": {}, f"{method}, s = {s:g}": {}}
    scored = panel.trainings[panel.trainings["result"].notna()]
    pairs = interpolated_against_sparse(scored.dropna(subset=kind))
    without = pd.Series("without", pairs.index)
    sides = {"first": pairs["interpolation_first"], "second": without}
    ious = [
        pairs[["s", kind, "repeat"]].assign(
            line=line, variant=pairs[f"variant_{side}"], iou=pairs[f"batched_IoU_{side}"]
        )
        for side, line in sides.items()
    ]
    of_trainings = pd.concat(ious).drop_duplicates(["variant", "repeat"]).dropna(subset="iou")
    columns = of_trainings[["line", "s", kind, "iou"]]
    for line, s, number, iou in columns.itertuples(index=False, name=None):
        lines[f"{line}, s = {s:g}"].setdefault(number, []).append(iou)
    return lines


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def selector_plots(shown: Sequence[Panel], *, of_trainings: bool = False) -> list[Plot]:
    """Fig. 5: deviations of selectors from the mean of their cell (rho, s).

    Parameters
    ----------
    shown
        Panels.
    of_trainings
        Of single trainings instead of means; see :func:`selector_deviations`.
    """
    return [
        Plot(
            panel.title,
            partial(_draw_deviations, panel=panel, of_trainings=of_trainings),
            panel.task,
            panel.configuration,
        )
        for panel in asking(shown, SPARSE)
    ]


def _draw_deviations(axes: Axes, panel: Panel, of_trainings: bool) -> None:
    found = selector_deviations(panel, of_trainings=of_trainings)
    boxes = axes.boxplot(
        list(found.values()),
        tick_labels=[f"{name}\nn = {len(values)}" for name, values in found.items()],
        patch_artist=True,
        medianprops={"color": "black"},
        flierprops={"markersize": 3},
    )
    for number, (box, values) in enumerate(zip(boxes["boxes"], found.values(), strict=True)):
        box.set_facecolor(OKABE_ITO[number % len(OKABE_ITO)])
        box.set_alpha(0.6)
        if not values:
            reason = "missing" if len(found) > 1 else "no other selector"
            axes.text(number + 1, 0.55, reason, ha="center", transform=axes.get_xaxis_transform())
    if not any(found.values()):
        axes.set_yticks([])
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel(f"batched IoU minus mean of {'repeat' if of_trainings else 'cell'}")
    axes.tick_params(axis="x", labelsize=SMALL)
    axes.grid(alpha=0.3, axis="y")


def selector_deviations(panel: Panel, *, of_trainings: bool = False) -> dict[str, list[float]]:
    """Deviations from a mean over selectors, by selector (and scope).

    That mean is the mean of the selectors' means, so that each of them counts alike; what one
    selector alone has done says nothing and is left out.

    Parameters
    ----------
    panel
        Task and way of training.
    of_trainings
        False: a value is the mean of a selector in a cell (rho, s) minus that of the cell, as in
        the paper's later version (section 2.3: "the disparity between the average performance of
        each slice selection method and the overall average performance across all trials"). True:
        a value is a training minus the mean of those of all selectors with the same cell, seed and
        repeat, as in its first version (section 2.1.3: "each model's performance relative to the
        triplet's average").
    """
    asked = panel.of_kind(SPARSE)
    names = selector_names(asked)
    found: dict[str, list[float]] = {name: [] for name in names.values()}
    choices = zip(*(asked[name] for name in CHOICE), strict=True)
    named = asked.assign(selector=[names[choice] for choice in choices])
    compared = ["amount", "s", *(("seed", "repeat") if of_trainings else ())]
    for _, group in named.dropna(subset="batched_IoU").groupby(compared):
        means = group.groupby("selector")["batched_IoU"].mean()
        if len(means) > 1:
            for name, deviation in (means - means.mean()).items():
                found[str(name)].append(float(deviation))
    return found
