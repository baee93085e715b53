"""Scores after rounds of annotation: a line for each selector, and pairs of lines.

The first round is the same for all selectors; each line has it as a point of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nnunet_sparse.grid.cell_kinds import ROUND
from nnunet_sparse.report.grid.budget_curve import trapezoid_weights
from nnunet_sparse.report.grid.factor_columns import having, varying
from nnunet_sparse.report.grid.paired_statistics import Difference, difference, matched_on
from nnunet_sparse.report.grid.panels import Panel
from nnunet_sparse.selection.variant import Variant

SETTING = ("s", "scope", "min_per_volume")
"""What the lines of one plot have in common beside task and way of training."""

_RUN = ("seed", "repeat")
_WEIGHT = "weight"


@dataclass(frozen=True)
class RoundLines:
    """Lines of one task, way of training, volume fraction and scope.

    Attributes
    ----------
    title
        What tells it from others.
    panel
        Where it belongs.
    setting
        Values of :data:`SETTING`.
    trainings
        As of a panel, with the columns ``line`` (by which the slices of later rounds are chosen)
        and ``round`` (from 1 on); trainings of the first round are there once for each line.
    """

    title: str
    panel: Panel
    setting: tuple[object, ...]
    trainings: pd.DataFrame

    @property
    def names(self) -> list[str]:
        """Names of the lines, in the order of the file."""
        return self.trainings["line"].drop_duplicates().tolist()

    @property
    def num_rounds(self) -> int:
        """Number of rounds that are asked for."""
        return int(self.trainings["round"].max())

    @property
    def scored(self) -> pd.DataFrame:
        """Trainings whose score and slices are known."""
        rows = self.trainings
        return rows[rows["result"].notna() & rows["batched_IoU"].notna() & (rows["num_slices"] > 0)]

    def runs(self, name: str) -> list[pd.DataFrame]:
        """Trainings of a line by seed and repeat, by round; of runs that are complete."""
        found = having(self.scored, line=name).groupby(list(_RUN))
        return [run.sort_values("round") for _, run in found if len(run) == self.num_rounds]


def line_name(variant: Variant) -> str:
    """By what slices are chosen; the number of rounds, which all lines have, is left out."""
    words = variant.way_of_choosing.split()
    return " ".join(word for word in words if not word.startswith("rounds="))


def round_lines(shown: Sequence[Panel]) -> list[RoundLines]:
    """Lines of every panel that has any; one round alone makes none."""
    found = []
    for panel in shown:
        rows = _with_lines(panel.of_kind(ROUND))
        several = varying(rows, *SETTING)
        for setting, trainings in rows.groupby(list(SETTING), sort=False):
            values = dict(zip(SETTING, setting, strict=True))
            words = [f"{name.replace('_', ' ')} {values[name]}" for name in several]
            title = ", ".join([panel.title, *words])
            found.append(RoundLines(title, panel, setting, trainings))
    return found


def _with_lines(trainings: pd.DataFrame) -> pd.DataFrame:
    """Rows of later rounds, and of the first one for each line that begins with it."""
    is_later = trainings["variant"].map(lambda variant: variant.rounds is not None).astype(bool)
    later, first = trainings[is_later], trainings[~is_later]
    later = later.assign(
        line=later["variant"].map(line_name),
        round=later["variant"].map(lambda variant: variant.rounds.number),
    )
    parts = [later]
    begun = [
        (variant.rounds.first, name, *setting)
        for variant, name, *setting in later[["variant", "line", *SETTING]].to_numpy().tolist()
    ]
    for start, name, *setting in dict.fromkeys(begun):
        rows = first[first["variant"] == start]
        own = dict(zip(SETTING, setting, strict=True))
        parts.append(rows.assign(line=name, round=1, **own))
    return pd.concat(parts)


def pairs_of_lines(rows: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """Trainings of two lines after the same round, of the same seed and repeat.

    Parameters
    ----------
    rows
        Trainings that have been scored, of one or several :class:`RoundLines`.
    one, other
        Names of the lines.
    """
    first, second = having(rows, line=one), having(rows, line=other)
    return matched_on(first, second, "seed", *SETTING, "round")


def round_difference(lines: RoundLines, one: str, other: str, number: int) -> Difference | None:
    """Mean difference of batched IoU of two lines after some round; None without pairs."""
    rows = having(lines.scored, round=number)
    return difference(pairs_of_lines(rows, one, other))


def area_difference(every: Sequence[RoundLines], one: str, other: str) -> Difference | None:
    """Mean difference of the areas under two lines, of runs that both have completed.

    Each of several lines of these names counts alike; the first round, which both have in common,
    is no pair.

    Parameters
    ----------
    every
        At least one.
    one, other
        Names of the lines.
    """
    parts = []
    for lines in every:
        pairs = pairs_of_lines(lines.scored, one, other)
        complete = [
            run.sort_values("round")
            for _, run in pairs.groupby(list(_RUN))
            if len(run) == lines.num_rounds
        ]
        if complete:
            slices = [
                (run["num_slices_first"] + run["num_slices_second"]).to_numpy(float) / 2
                for run in complete
            ]
            # seeds may annotate other volumes, which have other numbers of slices
            weights = trapezoid_weights(np.mean(slices, axis=0))
            parts.append(pd.concat([run.assign(**{_WEIGHT: weights}) for run in complete]))
    if not parts:
        return None
    together = pd.concat(parts)
    together[_WEIGHT] /= len(parts)
    return difference(together[together["round"] > 1], weight=_WEIGHT)


def areas(lines: RoundLines, name: str) -> list[float]:
    """Area under a line, of each run that is complete: mean IoU over the number of slices."""
    return [
        float(trapezoid_weights(run["num_slices"].to_numpy(float)) @ run["batched_IoU"].to_numpy())
        for run in lines.runs(name)
    ]


def mean_score(rows: pd.DataFrame) -> Difference | None:
    """Mean batched IoU of trainings with its interval, as that of a difference from 0."""
    nothing = [
        np.stack([0 * counts[..., 0], 0 * counts[..., 1], counts[..., 0] + counts[..., 2]], axis=-1)
        for counts in rows["counts"]
    ]
    none = pd.Series(nothing, rows.index, dtype=object)
    sides = rows.assign(
        counts_first=rows["counts"],
        counts_second=none,
        variant_first=rows["variant"],
        variant_second=rows["variant"],
    )
    found = difference(sides)
    # no IoU lies below
    return None if found is None else replace(found, low=max(0.0, found.low))
