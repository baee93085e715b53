"""Figures of rounds of annotation."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from nnunet_sparse.grid.cell_kinds import DENSE
from nnunet_sparse.report.grid.factor_columns import having
from nnunet_sparse.report.grid.paired_statistics import Difference
from nnunet_sparse.report.grid.plot import MARKERS, OKABE_ITO, SMALL, Plot, ink
from nnunet_sparse.report.grid.round_lines import RoundLines, mean_score, round_difference
from nnunet_sparse.report.grid.round_penalties import penalty_matrix
from nnunet_sparse.report.grid.round_tables import compared, names_of

# of the distance between rounds, so that intervals of several lines can be told apart
_SPREAD = 0.25
_MOST_TICKS = 8
_Point = tuple[float, Difference]


def round_plots(every: Sequence[RoundLines]) -> list[Plot]:
    """IoU against annotated slices, and the difference from the first selector of the file.

    Parameters
    ----------
    every
        Lines of 2D or of 3D.
    """
    found = []
    for lines in every:
        place = (lines.panel.task, lines.panel.configuration)
        found.append(Plot(f"{lines.title}: rounds", partial(_draw_scores, lines=lines), *place))
        if len(lines.names) > 1:
            title = f"{lines.title}: rounds, against {lines.names[0]}"
            found.append(Plot(title, partial(_draw_gains, lines=lines), *place))
    return found


def penalty_plots(every: Sequence[RoundLines]) -> list[Plot]:
    """The pairwise penalty matrix; none where no two runs can be compared."""
    matrix = penalty_matrix(compared(every))
    if not matrix:
        return []
    names = [name for name in names_of(every) if any(name in pair for pair in matrix)]
    draw = partial(_draw_matrix, names=names, matrix=matrix)
    return [Plot("how often the selector of a row beats that of a column", draw)]


def _draw_scores(axes: Axes, lines: RoundLines) -> None:
    """Draw the mean over runs with its interval after each round."""
    of_lines = {}
    for name in lines.names:
        rows = having(lines.scored, line=name)
        of_rounds = [having(rows, round=k) for k in range(1, lines.num_rounds + 1)]
        of_lines[name] = _known([(r["num_slices"].mean(), mean_score(r)) for r in of_rounds])
    _draw_lines(axes, of_lines, list(range(len(of_lines))))
    dense = lines.panel.of_kind(DENSE)["batched_IoU"].dropna()
    if len(dense):
        axes.axhline(dense.mean(), color="black", linewidth=1, linestyle="--", label="dense")
    axes.set_ylabel("batched IoU (95 % interval)")
    _add_legend(axes)


def _draw_gains(axes: Axes, lines: RoundLines) -> None:
    """Draw the paired difference from the first line with its interval after each later round."""
    reference, *others = lines.names
    of_lines = {}
    for name in others:
        rows = having(lines.scored, line=name)
        of_lines[name] = _known(
            [
                (
                    having(rows, round=k)["num_slices"].mean(),
                    round_difference(lines, name, reference, k),
                )
                for k in range(2, lines.num_rounds + 1)
            ]
        )
    _draw_lines(axes, of_lines, list(range(1, len(others) + 1)))
    axes.axhline(0, color="#777777", linewidth=1)
    axes.set_ylabel(f"IoU minus {reference} (95 % interval)")
    _add_legend(axes)


def _known(values: Sequence[tuple[float, Difference | None]]) -> list[_Point]:
    return [(x, found) for x, found in values if found is not None]


def _draw_lines(axes: Axes, of_lines: dict[str, list[_Point]], looks: Sequence[int]) -> None:
    every = sorted({x for points in of_lines.values() for x, _ in points})
    step = min(np.diff(every), default=1.0) if len(every) > 1 else 1.0
    middle = (len(of_lines) - 1) / 2
    for number, (look, (name, points)) in enumerate(zip(looks, of_lines.items(), strict=True)):
        colour, marker = OKABE_ITO[look % len(OKABE_ITO)], MARKERS[look % len(MARKERS)]
        if not points:
            axes.plot([], [], color=colour, marker=marker, label=f"{name}: missing")
            continue
        shift = step * _SPREAD * (number - middle) / max(1, len(of_lines))
        means = np.array([found.mean for _, found in points])
        ends = np.array([[found.mean - found.low, found.high - found.mean] for _, found in points])
        axes.errorbar(
            np.array([x for x, _ in points]) + shift,
            means,
            yerr=ends.T,
            label=name,
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=1.2,
            elinewidth=0.8,
            capsize=2,
        )
    axes.set_xlabel("annotated slices")
    if 1 < len(every) <= _MOST_TICKS:
        axes.set_xticks(every, [f"{x:.0f}" for x in every])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=_MOST_TICKS))
    axes.grid(alpha=0.3)


def _add_legend(axes: Axes) -> None:
    """Add a legend that covers no interval."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=SMALL)


def _draw_matrix(axes: Axes, names: Sequence[str], matrix: dict[tuple[str, str], float]) -> None:
    values = np.array([[matrix.get((one, other), np.nan) for other in names] for one in names])
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1)
    axes.figure.colorbar(image, ax=axes, label="share of settings and rounds")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = ink(image.to_rgba(np.array([value]))[0].tolist())
            text = f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=SMALL)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=SMALL)
    axes.set_yticks(range(len(names)), names, fontsize=SMALL)
