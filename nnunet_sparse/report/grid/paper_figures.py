"""Figures 1, 4 and 5 of the paper, for the trainings that an experiment asks for.

Figures 2 and 3 are in :mod:`nnunet_sparse.report.grid.budget_plots`. Cells that are missing are
called so.
"""

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm

from nnunet_sparse.grid.cell_kinds import DENSE, INTERPOLATED, SPARSE
from nnunet_sparse.report.grid.factor_columns import (
    CHOICE,
    amounts,
    grouped,
    selector_names,
)
from nnunet_sparse.report.grid.paired_statistics import interpolated_against_sparse
from nnunet_sparse.report.grid.panels import (
    COLLAPSE,
    COLLAPSED,
    EXCLUDED,
    NOT_APPLICABLE,
    Panel,
    Point,
    cells_of_kind,
    points_in_words,
    points_of,
)
from nnunet_sparse.report.grid.plot import (
    AMOUNT_TITLES,
    HEIGHT,
    LEGEND_LINE,
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
_NOTE_LETTERS = 70


def drop_plots(shown: Sequence[Panel], with_collapsed: bool = False) -> list[Plot]:
    """Fig. 1: mean drop against dense annotation, averaged over tasks, for each rho and s.

    Version 1 of the paper leaves a density out of the figure of 3D because some models did not
    converge. Here a point (rho, s) is left out where a training of any task collapsed (or the dense
    reference did), and named below the plot: a mean over the other tasks could not be compared with
    that in other points. Checks beside the comparison are no part of it.

    Parameters
    ----------
    shown
        Panels.
    with_collapsed
        Whether collapsed trainings enter the means as they are.
    """
    found = []
    for dimensions, chosen in _in_drops(shown).items():
        tasks = {panel.task for panel in chosen}
        number = f"{len(tasks)} task{'s' if len(tasks) > 1 else ''}"
        if len(chosen) > len(tasks):
            number += f", trained in {len(chosen)} ways"
        title = f"{dimensions}: batched IoU minus dense, {number}"
        draw = partial(_draw_drops, shown=chosen, with_collapsed=with_collapsed)
        found.append(Plot(title, draw))
    return found


def _in_drops(shown: Sequence[Panel]) -> dict[str, list[Panel]]:
    """Panels whose mean is taken, of 2D and of 3D."""
    of_dimensions = {
        dimensions: [panel for panel in shown if panel.dimensions == dimensions]
        for dimensions in sorted({panel.dimensions for panel in shown})
    }
    found = {
        dimensions: asking(asking([panel for panel in chosen if not panel.is_extra], SPARSE), DENSE)
        for dimensions, chosen in of_dimensions.items()
    }
    return {dimensions: chosen for dimensions, chosen in found.items() if chosen}


def drop_notes(shown: Sequence[Panel], with_collapsed: bool = False) -> list[str]:
    """What figure 1 leaves out, in words: collapsed and excluded cells, and checks.

    Parameters
    ----------
    shown, with_collapsed
        As of :func:`drop_plots`.
    """
    reasons = [
        (panel, of_points)
        for chosen in _in_drops(shown).values()
        for panel, of_points in zip(chosen, _reasons(chosen), strict=True)
    ]
    notes = []
    for reason, what in (
        (COLLAPSED, f"({COLLAPSE}), {'in the means' if with_collapsed else 'left out'}"),
        (NOT_APPLICABLE, f"({EXCLUDED})"),
    ):
        cells = [text for each in reasons if (text := _cells_in_words(*each, reason))]
        if cells:
            notes.append(f"{reason} {what}: {'; '.join(cells)}")
    extra = [panel.title for panel in asking(shown, SPARSE) if panel.is_extra]
    if extra:
        notes.append(f"no part of the means: {'; '.join(extra)}")
    return notes


def _cells_in_words(panel: Panel, reasons: Mapping[Point, str], reason: str) -> str:
    """Panel with its points that are empty for some reason; nothing if there are none."""
    points = [point for point, own in reasons.items() if own == reason]
    if not points:
        return ""
    of_dense = reason == COLLAPSED and _any_collapsed(panel.of_kind(DENSE))
    return f"{panel.title}, {'dense' if of_dense else points_in_words(points)}"


def _reasons(shown: Sequence[Panel]) -> list[dict[Point, str]]:
    """Why points of each panel are empty: it does not have them, or they collapsed."""
    every = points_of(cells_of_kind(shown, SPARSE))
    found = []
    for panel in shown:
        dense, own = _any_collapsed(panel.of_kind(DENSE)), points_of(panel.of_kind(SPARSE))
        collapsed = [point for point, cell in own.items() if dense or _any_collapsed(cell)]
        reasons = dict.fromkeys(collapsed, COLLAPSED)
        found.append(reasons | dict.fromkeys([*every.keys() - own.keys()], NOT_APPLICABLE))
    return found


def _any_collapsed(trainings: pd.DataFrame) -> bool:
    return any(result.is_collapsed for result in trainings["result"].dropna())


def _draw_drops(axes: Axes, shown: Sequence[Panel], with_collapsed: bool) -> None:
    trainings = cells_of_kind(shown, SPARSE)
    every, fractions = (sorted(trainings[name].unique()) for name in ("amount", "s"))
    # where one task is missing, a mean over the others would mislead
    drops = [_drops(panel).reindex(index=fractions, columns=every) for panel in shown]
    table = np.mean(drops, axis=0)
    points = points_of(trainings)
    reasons = {
        (i, j): NOT_APPLICABLE  # in no task
        for (i, s), (j, amount) in product(enumerate(fractions), enumerate(every))
        if (s, amount) not in points
    }
    for of_panel in _reasons(shown):
        for (s, amount), reason in of_panel.items():
            place = (fractions.index(s), every.index(amount))
            if reason == NOT_APPLICABLE or (not with_collapsed and place not in reasons):
                table[place], reasons[place] = np.nan, reason
    known = np.abs(table[np.isfinite(table)])
    norm = CenteredNorm(0, max([_LEAST_RANGE, *known]))
    axes.set_facecolor("#dddddd")
    image = axes.imshow(table, cmap=_DIVERGING, norm=norm, aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(table):
        text = f"{value:+.3f}" if np.isfinite(value) else reasons.get((i, j), "missing")
        colour = ink(image.cmap(norm(value))) if np.isfinite(value) else "black"
        axes.text(j, i, text, ha="center", va="center", fontsize=SMALL, color=colour)
    axes.set_xticks(range(len(every)), [amount.text for amount in every])
    axes.set_yticks(range(len(fractions)), [f"{s:g}" for s in fractions])
    kinds = amounts(trainings)
    title = AMOUNT_TITLES[kinds[0]] if len(kinds) == 1 else "annotated slices"
    notes = [textwrap.fill(note, _NOTE_LETTERS) for note in drop_notes(shown, with_collapsed)]
    axes.set_xlabel("\n".join([title, *notes]), fontsize=SMALL if notes else None)
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
            HEIGHT + LEGEND_LINE * len(interpolation_lines(panel, kind)),
        )
        for panel in asking(shown, INTERPOLATED)
        for kind in amounts(panel.of_kind(INTERPOLATED))
    ]


def _draw_interpolation(axes: Axes, panel: Panel, kind: str) -> None:
    asked = panel.of_kind(INTERPOLATED)[kind].dropna()
    every = panel.with_left_out(INTERPOLATED)[kind].dropna()
    rhos, left_out = sorted(every.unique()), sorted({*every} - {*asked})
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
    place = axes.get_xaxis_transform()
    look: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center", "transform": place}
    for rho in sorted(set(rhos).difference(*lines.values(), left_out)):
        axes.text(rho, 0.5, "missing", **look)
    for rho in left_out:
        axes.text(rho, 0.5, NOT_APPLICABLE, **look)
    if not any(lines.values()):
        axes.set_yticks([])
    axes.set(xscale="log", xlim=(min(rhos) / 1.3, max(rhos) * 1.3))
    axes.set_xticks(rhos, [f"{rho:g}" for rho in rhos])
    axes.minorticks_off()
    # names of methods are too long to stand beside the lines
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize=SMALL)
    axes.set(xlabel=AMOUNT_TITLES[kind], ylabel="batched IoU (mean ± SD)")
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

    Returns
    -------
    list of Plot
        Of panels with several selectors; of all, where none has them.
    """
    asked = asking(shown, SPARSE)
    compared = [panel for panel in asked if len(selector_deviations(panel)) > 1]
    return [
        Plot(
            panel.title,
            partial(_draw_deviations, panel=panel, of_trainings=of_trainings),
            panel.task,
            panel.configuration,
        )
        for panel in compared or asked
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
