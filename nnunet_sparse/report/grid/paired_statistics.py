"""What the results of an experiment say: paired differences and verdicts.

Differences are taken between two trainings that differ in one thing alone: same task, same way of
training, same test cases, same seed of the selection, same repeat. Their uncertainty comes from the
test cases, which are drawn anew (bootstrap; the same ones for both sides of every pair of a task),
from the repeats and from the seeds: the standard error of the mean over repeats, and over seeds.
Together they give a Student's t interval with the degrees of freedom of Welch and Satterthwaite.
Repeats and seeds are crossed, so that each seed-repeat combination alone is no independent sample;
noise that is neither's is part of both standard errors, which makes the interval a little too wide.
With a single repeat and seed the test cases alone count, and there is no verdict.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nnunet_sparse.grid.cell_kinds import DENSE, SPARSE
from nnunet_sparse.selection.budget import AMOUNT
from nnunet_sparse.selection.variant import FACTORS, WAY_OF_CHOOSING

logger = logging.getLogger(__name__)

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "not supported", "undecided"
NUM_DRAWS = 2000
LEVEL = 0.95
"""Of the intervals."""

# what both sides of a pair have in common besides factors
_TRAINED = ("task", "configuration", "trainer", "plans", "label", "repeat")
# budgets of two cells are the same if they differ by less than this share
_SAME_BUDGET = 0.1


@dataclass(frozen=True)
class Difference:
    """A mean difference of batched IoU.

    Attributes
    ----------
    mean
        Over all pairs.
    low, high
        95 % interval.
    num_pairs
        Pairs of trainings.
    num_cells
        Pairs of cells, whatever their repeats and seeds.
    wins
        Share of the pairs of cells whose mean difference is above 0.
    num_runs
        Different combinations of seed and repeat.
    """

    mean: float
    low: float
    high: float
    num_pairs: int
    num_cells: int
    wins: float
    num_runs: int

    @property
    def verdict(self) -> str:
        """Whether the first side is better; one repeat of one seed cannot tell."""
        if self.num_runs == 1:
            return UNDECIDED
        if self.low > 0:
            return SUPPORTED
        return CONTRADICTED if self.high < 0 else UNDECIDED


def pooled_iou(counts: np.ndarray) -> np.ndarray:
    """Batched IoU of counts (..., cases, 3), summed over cases; NaN where nothing is there.

    Counts of several labels (labels, cases, 3) give one value each.
    """
    return _ratio(counts.sum(axis=-2, dtype=np.float64))


def _ratio(totals: np.ndarray) -> np.ndarray:
    size = totals.sum(axis=-1)
    iou = np.full(size.shape, np.nan)
    np.divide(totals[..., 0], size, out=iou, where=size > 0)
    return iou


def mean_iou(counts: np.ndarray) -> float:
    """Batched IoU of a training with counts (..., cases, 3); the mean of its labels."""
    return float(np.mean(pooled_iou(counts)))


def matched(first: pd.DataFrame, second: pd.DataFrame, *different: str) -> pd.DataFrame:
    """Pairs of trainings that have everything in common but some factors.

    Task, way of training, label, repeat and test cases are the same in any case.

    Parameters
    ----------
    first, second
        Trainings that have been scored, as in :class:`nnunet_sparse.report.grid.panels.Panel`.
    different
        Factors in which the trainings of a pair may differ.

    Returns
    -------
    pd.DataFrame
        A row for each pair. What the pair has in common has one column, everything else two, that
        end in ``_first`` and ``_second``.
    """
    return _with_same_cases(_paired(first, second, different))


def matched_on(first: pd.DataFrame, second: pd.DataFrame, *same: str) -> pd.DataFrame:
    """Pairs as of :func:`matched` that have some columns in common, whatever their factors."""
    return _with_same_cases(_merged(first, second, same))


def _paired(first: pd.DataFrame, second: pd.DataFrame, different: Sequence[str]) -> pd.DataFrame:
    """Pairs as of :func:`matched`, whatever their test cases."""
    return _merged(first, second, [name for name in FACTORS if name not in different])


def _merged(first: pd.DataFrame, second: pd.DataFrame, same: Sequence[str]) -> pd.DataFrame:
    return first.merge(second, on=[*_TRAINED, *same], suffixes=("_first", "_second"))


def _with_same_cases(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs whose sides were scored on the same test cases; a warning tells of others."""
    is_same = np.array([_same_cases(*both) for both in _counts(pairs)], bool)
    others = pairs[~is_same]
    if len(others):
        logger.warning(
            "%d pairs of trainings are not compared, because their test cases differ, as %s and %s",
            len(others),
            others["dataset_first"].iloc[0],
            others["dataset_second"].iloc[0],
        )
    return pairs[is_same]


def _same_cases(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether counts (..., cases, 3) are of the same cases, by the voxels of the truth."""
    return np.array_equal(first[..., 0] + first[..., 2], second[..., 0] + second[..., 2])


def more_volumes(scored: pd.DataFrame) -> pd.DataFrame:
    """Same budget, selector and seed: more volumes with fewer slices each against the contrary."""
    sparse = scored[scored["kind"] == SPARSE]
    sparse = sparse.assign(
        unit=[amount.kind for amount in sparse["amount"]],
        number=[amount.number for amount in sparse["amount"]],
    )
    pairs = _paired(sparse, sparse, (*AMOUNT, "s"))
    pairs = pairs[pairs["s_first"] > pairs["s_second"]]
    pairs = pairs[pairs["unit_first"] == pairs["unit_second"]]
    # a number in all is spread over more volumes
    is_sparser = pairs["number_first"] < pairs["number_second"]
    pairs = pairs[is_sparser | (pairs["unit_first"] == "budget")]
    slices = pairs[["num_slices_first", "num_slices_second"]]
    # where both numbers are unknown (0) it is NaN, which no comparison holds for
    share = 1 - slices.min(axis=1) / slices.max(axis=1)
    return _with_same_cases(pairs[share < _SAME_BUDGET])


def selector_against(scored: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """The same cells, chosen in two ways."""
    sparse = scored[scored["kind"] == SPARSE]
    first, second = (sparse[sparse["way"] == way] for way in (one, other))
    return matched(first, second, *WAY_OF_CHOOSING)


def interpolated_against_sparse(scored: pd.DataFrame) -> pd.DataFrame:
    """The same slices, with and without interpolation."""
    chosen = scored[scored["kind"] != DENSE]
    is_filled = chosen["interpolation"] != ""
    return matched(chosen[is_filled], chosen[~is_filled], "interpolation")


def difference(
    pairs: pd.DataFrame, seed: int = 0, num_draws: int = NUM_DRAWS, weight: str = ""
) -> Difference | None:
    """Mean difference of batched IoU with its bootstrap interval.

    The mean is that of pairs of cells, each of which counts alike unless weights are given. Pairs
    for which either side is undefined (no voxel in label or prediction) are left out.

    Parameters
    ----------
    pairs
        Pairs of trainings, see :func:`matched`.
    seed
        Seed of the draws.
    num_draws
        Number of draws.
    weight
        Column with the weight of a pair, the same in all pairs of two cells: in place of the mean
        of the differences it is the sum of their products.

    Returns
    -------
    Difference or None
        None without pairs.
    """
    gains = np.array([mean_iou(first) - mean_iou(second) for first, second in _counts(pairs)])
    is_defined = np.isfinite(gains)
    pairs, gains = pairs[is_defined], gains[is_defined]
    if pairs.empty:
        return None
    cell, seeds, repeats = (
        pd.factorize(values)[0] for values in (_cells(pairs), pairs["seed"], pairs["repeat"])
    )
    values = np.full((cell.max() + 1, seeds.max() + 1, repeats.max() + 1), np.nan)
    values[cell, seeds, repeats] = gains
    table = np.ma.MaskedArray(values, np.isnan(values))  # masked where there is no pair
    of_cells = table.mean(axis=(1, 2))
    weights = pairs[weight].astype(float).groupby(cell).mean().to_numpy() if weight else None
    mean = float(_over_cells(of_cells, weights))
    draws = _Draws(np.random.default_rng(seed), num_draws)
    of_cases = _spread_of_cases(pairs, cell, draws, weights)
    # what all pairs of a seed or repeat have in common is kept
    of_seeds = _spread_of_runs(_over_cells(table.mean(axis=2), weights))
    of_repeats = _spread_of_runs(_over_cells(table.mean(axis=1), weights))
    half = _half_width([of_cases, *of_seeds, *of_repeats])
    return Difference(
        mean,
        max(-1.0, mean - half),  # no difference of IoU lies outside
        min(1.0, mean + half),
        len(pairs),
        len(of_cells),
        float((of_cells > 0).mean()),
        len(set(zip(seeds, repeats, strict=True))),
    )


def _over_cells(values: np.ma.MaskedArray, weights: np.ndarray | None) -> Any:
    """Mean over the first axis, or, with weights, the sum of products."""
    if weights is None:
        return values.mean(axis=0)
    return np.ma.average(values, axis=0, weights=weights) * weights.sum()


def _counts(pairs: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Counts of both sides of each pair."""
    return zip(pairs["counts_first"], pairs["counts_second"], strict=True)


def _cells(pairs: pd.DataFrame) -> "pd.Series[Any]":
    """What each pair has in common with those of other seeds and repeats."""
    trained = [pairs[name] for name in _TRAINED if name != "repeat"]
    factors = [
        [variant.same_but("seed") for variant in pairs[side]]
        for side in ("variant_first", "variant_second")
    ]
    return pd.Series(list(zip(*trained, *factors, strict=True)))


def _spread_of_cases(
    pairs: pd.DataFrame, cell: np.ndarray, draws: "_Draws", weights: np.ndarray | None
) -> tuple[float, int]:
    """Variance of the mean that comes from the test cases, and its degrees of freedom."""
    of_pairs = np.array(
        [
            draws.iou(task, first) - draws.iou(task, second)
            for task, (first, second) in zip(pairs["task"], _counts(pairs), strict=True)
        ]
    )
    of_cells = [of_pairs[cell == k].mean(axis=0) for k in range(cell.max() + 1)]
    # draws in which a cell is undefined have the mean of the others
    means = _over_cells(np.ma.masked_invalid(of_cells), weights).filled(np.nan)
    num_cases = min(first.shape[-2] for first, _ in _counts(pairs))
    return float(np.nanvar(means, ddof=1)), max(1, num_cases - 1)


def _spread_of_runs(means: np.ndarray) -> list[tuple[float, int]]:
    """Variance and degrees of freedom that come from seeds or repeats, from the mean of each.

    Empty if there is one alone.
    """
    if len(means) < 2:
        return []
    return [(float(np.var(means, ddof=1)) / len(means), len(means) - 1)]


def _half_width(parts: Sequence[tuple[float, int]]) -> float:
    """Half of the interval, from independent variances of the mean and their degrees of freedom."""
    from scipy import stats

    total = sum(variance for variance, _ in parts)
    if total == 0:
        return 0.0
    degrees = total**2 / sum(variance**2 / freedom for variance, freedom in parts)
    return float(stats.t.ppf((1 + LEVEL) / 2, degrees) * np.sqrt(total))


class _Draws:
    """Test cases drawn anew, the same for all pairs of a task."""

    def __init__(self, rng: np.random.Generator, number: int) -> None:
        self.rng = rng
        self.number = number
        self.cases: dict[tuple[str, int], np.ndarray] = {}

    def iou(self, task: str, counts: np.ndarray) -> np.ndarray:
        """Batched IoU of a training in every draw; the mean of its labels."""
        num_cases = counts.shape[-2]
        key = (task, num_cases)
        if key not in self.cases:
            equal = np.full(num_cases, 1 / num_cases)
            self.cases[key] = self.rng.multinomial(num_cases, equal, size=self.number)
        totals = np.einsum("dc,...ck->...dk", self.cases[key], counts)
        ious = _ratio(totals)
        return ious if ious.ndim == 1 else ious.mean(axis=0)
