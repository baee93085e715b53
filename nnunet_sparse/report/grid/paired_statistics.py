"""What the results of an experiment say: paired differences, verdicts, budget curves.

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
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunet_sparse.grid.cells import DENSE, SPARSE
from nnunet_sparse.grid.results import Result
from nnunet_sparse.selection.budget import AMOUNT
from nnunet_sparse.selection.variant import WAY_OF_CHOOSING

logger = logging.getLogger(__name__)

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "not supported", "undecided"
NUM_DRAWS = 2000
_LEVEL = 0.95
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


@dataclass(frozen=True)
class Pair:
    """Two trainings that differ in one thing."""

    first: Result
    second: Result

    @property
    def cell(self) -> tuple[object, ...]:
        """What they have in common with other seeds and repeats."""
        return (_factors(self.first), _factors(self.second))


def _factors(result: Result) -> tuple[object, ...]:
    r = result
    return (r.task, *r.way, r.label, r.variant.same_but("seed"))


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


def iou_of(result: Result) -> float:
    """Batched IoU of a training over its test cases; the mean of its labels."""
    return float(np.mean(pooled_iou(result.counts)))


def matched(
    results: Iterable[Result], is_first: Callable[[Result], bool], same: Callable[[Result], object]
) -> list[Pair]:
    """Pairs of a training of the first kind and one of the other, with the same ``same``.

    Task, way of training, label, repeat and test cases are the same in any case.
    """
    first: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    second: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in results:
        key = (result.task, result.way, result.label, result.repeat, same(result))
        (first if is_first(result) else second)[key].append(result)
    pairs = [Pair(a, b) for key in first for a in first[key] for b in second.get(key, ())]
    return _with_same_cases(pairs)


def _with_same_cases(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs whose sides were scored on the same test cases; a warning tells of others."""
    same = [_same_cases(pair.first.counts, pair.second.counts) for pair in pairs]
    others = [pair for pair, is_same in zip(pairs, same, strict=True) if not is_same]
    if others:
        logger.warning(
            "%d pairs of trainings are not compared, because their test cases differ, as %s and %s",
            len(others),
            others[0].first.dataset,
            others[0].second.dataset,
        )
    return [pair for pair, is_same in zip(pairs, same, strict=True) if is_same]


def _same_cases(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether counts (..., cases, 3) are of the same cases, by the voxels of the truth."""
    return np.array_equal(first[..., 0] + first[..., 2], second[..., 0] + second[..., 2])


def more_volumes(results: Sequence[Result]) -> list[Pair]:
    """Same budget, selector and seed: more volumes with fewer slices each against the contrary."""
    groups: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for r in results:
        if r.kind == SPARSE and r.num_slices > 0:
            same = r.variant.same_but(*AMOUNT, "s")
            groups[r.task, r.way, r.label, r.repeat, same].append(r)
    pairs = [
        Pair(many, few)
        for group in groups.values()
        for many in group
        for few in group
        if many.variant.s > few.variant.s and _is_sparser(many, few)
    ]
    return _with_same_cases(pairs)


def _is_sparser(many: Result, few: Result) -> bool:
    """Whether one has fewer slices of a volume than another with the same number in all."""
    share = abs(many.num_slices - few.num_slices) / max(many.num_slices, few.num_slices)
    one, other = many.variant.amount, few.variant.amount
    # a number in all is spread over more volumes
    sparser = one.number < other.number or one.kind == "budget"
    return share < _SAME_BUDGET and one.kind == other.kind and sparser


def selector_against(results: Sequence[Result], one: str, other: str) -> list[Pair]:
    """The same cells, chosen in two ways."""
    ways = {one, other}
    chosen = [r for r in results if r.kind == SPARSE and r.variant.way_of_choosing in ways]

    def is_first(r: Result) -> bool:
        return r.variant.way_of_choosing == one

    return matched(chosen, is_first, lambda r: r.variant.same_but(*WAY_OF_CHOOSING))


def interpolated_against_sparse(results: Sequence[Result]) -> list[Pair]:
    """The same slices, with and without interpolation."""
    chosen = [r for r in results if r.kind != DENSE]

    def is_filled(r: Result) -> bool:
        return r.variant.interpolation is not None

    return matched(chosen, is_filled, lambda r: r.variant.same_but("interpolation"))


def difference(
    pairs: Sequence[Pair], seed: int = 0, num_draws: int = NUM_DRAWS
) -> Difference | None:
    """Mean difference of batched IoU with its bootstrap interval.

    The mean is that of pairs of cells, each of which counts alike. Pairs for which either side is
    undefined (no voxel in label or prediction) are left out.

    Parameters
    ----------
    pairs
        Pairs of trainings.
    seed
        Seed of the draws.
    num_draws
        Number of draws.

    Returns
    -------
    Difference or None
        None without pairs.
    """
    cells: _Cells = defaultdict(dict)
    for pair in pairs:
        if np.isfinite(iou_of(pair.first) - iou_of(pair.second)):
            cells[pair.cell][pair.first.variant.seed, pair.first.repeat] = pair
    if not cells:
        return None
    of_cells = [_mean_of_cell(group.values()) for group in cells.values()]
    mean = float(np.mean(of_cells))
    of_cases = _spread_of_cases(cells, _Draws(np.random.default_rng(seed), num_draws))
    of_runs = [
        *_spread_of_runs(cells, lambda r: r.variant.seed),
        *_spread_of_runs(cells, lambda r: r.repeat),
    ]
    half = _half_width([of_cases, *of_runs])
    return Difference(
        mean,
        mean - half,
        mean + half,
        sum(len(group) for group in cells.values()),
        len(cells),
        float(np.mean(np.array(of_cells) > 0)),
        len({run for group in cells.values() for run in group}),
    )


_Cells = dict[tuple[object, ...], dict[tuple[int, int], Pair]]


def _spread_of_cases(cells: _Cells, draws: "_Draws") -> tuple[float, int]:
    """Variance of the mean that comes from the test cases, and its degrees of freedom."""
    means = np.nanmean([draws.of_cell(group.values()) for group in cells.values()], axis=0)
    used = [pair for group in cells.values() for pair in group.values()]
    num_cases = min(pair.first.counts.shape[-2] for pair in used)
    return float(np.nanvar(means, ddof=1)), max(1, num_cases - 1)


def _spread_of_runs(cells: _Cells, level_of: Callable[[Result], int]) -> list[tuple[float, int]]:
    """The same of seeds or repeats; empty if there is one alone."""
    differences: dict[int, list[float]] = defaultdict(list)
    for group in cells.values():
        of_level: dict[int, list[Pair]] = defaultdict(list)
        for pair in group.values():
            of_level[level_of(pair.first)].append(pair)
        for level, pairs in of_level.items():
            differences[level].append(_mean_of_cell(pairs))
    if len(differences) < 2:
        return []
    # what all pairs of a seed or repeat have in common is kept
    means = [np.mean(values) for values in differences.values()]
    return [(float(np.var(means, ddof=1)) / len(means), len(means) - 1)]


def _half_width(parts: Sequence[tuple[float, int]]) -> float:
    """Half of the interval, from independent variances of the mean and their degrees of freedom."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return 0.0
    degrees = total**2 / sum(variance**2 / freedom for variance, freedom in parts)
    return float(stats.t.ppf((1 + _LEVEL) / 2, degrees) * np.sqrt(total))


def _mean_of_cell(pairs: Iterable[Pair]) -> float:
    return float(np.mean([iou_of(pair.first) - iou_of(pair.second) for pair in pairs]))


class _Draws:
    """Test cases drawn anew, the same for all pairs of a task."""

    def __init__(self, rng: np.random.Generator, number: int) -> None:
        self.rng = rng
        self.number = number
        self.cases: dict[tuple[str, int], np.ndarray] = {}

    def of_cell(self, pairs: Iterable[Pair]) -> np.ndarray:
        """Mean difference of a pair of cells in every draw."""
        mean: np.ndarray = np.mean(
            [self._iou(pair.first) - self._iou(pair.second) for pair in pairs], axis=0
        )
        return mean

    def _iou(self, result: Result) -> np.ndarray:
        """Batched IoU of a training in every draw; the mean of its labels."""
        num_cases = result.counts.shape[-2]
        key = (result.task, num_cases)
        if key not in self.cases:
            equal = np.full(num_cases, 1 / num_cases)
            self.cases[key] = self.rng.multinomial(num_cases, equal, size=self.number)
        totals = np.einsum("dc,...ck->...dk", self.cases[key], result.counts)
        ious = _ratio(totals)
        return ious if ious.ndim == 1 else ious.mean(axis=0)


def area_under_budget_curve(budgets: Sequence[float], scores: Sequence[float]) -> float | None:
    """Mean score over the logarithm of the budget, by the trapezoidal rule.

    Parameters
    ----------
    budgets
        Annotated slices, or hours.
    scores
        Scores at these budgets; several at one budget are averaged.

    Returns
    -------
    float or None
        None for fewer than two budgets.
    """
    by_budget: dict[float, list[float]] = defaultdict(list)
    for budget, score in zip(budgets, scores, strict=True):
        by_budget[budget].append(score)
    if len(by_budget) < 2:
        return None
    x = np.log(sorted(by_budget))
    y = np.array([np.mean(by_budget[budget]) for budget in sorted(by_budget)])
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / (x[-1] - x[0]))
