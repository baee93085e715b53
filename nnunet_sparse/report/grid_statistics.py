"""What the results of an experiment say: paired differences, verdicts, budget curves.

Differences are taken between two trainings that differ in one thing alone: same task, same way of
training, same repeat. Their uncertainty comes from the test cases, which are drawn anew (bootstrap;
the same ones for both sides of every pair of a task), and from the repeats: the standard error of
the mean over repeats. Both together give a Student's t interval with the degrees of freedom of
Welch and Satterthwaite. With a single repeat the test cases alone count, and there is no verdict.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from nnunet_sparse.grid.results import Result

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
        Pairs of cells, whatever their repeats.
    num_repeats
        Different repeats.
    wins
        Share of the pairs of cells whose mean difference is above 0.
    """

    mean: float
    low: float
    high: float
    num_pairs: int
    num_cells: int
    wins: float
    num_repeats: int

    @property
    def verdict(self) -> str:
        """Whether the first side is better; one repeat cannot tell."""
        if self.num_repeats == 1:
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
    def cell(self) -> tuple[Any, ...]:
        """What they have in common with their repeats."""
        return (_variant(self.first), _variant(self.second))


def _variant(result: Result) -> tuple[Any, ...]:
    return (result.dataset, result.way, result.label)


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
    results: Iterable[Result], is_first: Callable[[Result], bool], same: Callable[[Result], Any]
) -> list[Pair]:
    """Pairs of a training of the first kind and one of the other, with the same ``same``.

    Task, way of training, label and repeat are the same in any case.
    """
    first: dict[tuple[Any, ...], list[Result]] = defaultdict(list)
    second: dict[tuple[Any, ...], list[Result]] = defaultdict(list)
    for result in results:
        key = (result.task, result.way, result.label, result.repeat, same(result))
        (first if is_first(result) else second)[key].append(result)
    return [Pair(a, b) for key in first for a in first[key] for b in second.get(key, ())]


def more_volumes(results: Sequence[Result]) -> list[Pair]:
    """Same budget, selector and seed: more volumes with fewer slices each against the contrary."""
    groups: dict[tuple[Any, ...], list[Result]] = defaultdict(list)
    for r in results:
        if r.kind == "sparse":
            key = (r.task, r.way, r.label, r.repeat, r.selector, r.scope, r.seed)
            groups[key].append(r)
    pairs = []
    for group in groups.values():
        for many in group:
            for few in group:
                share = abs(many.num_slices - few.num_slices) / max(many.num_slices, few.num_slices)
                if many.s > few.s and share < _SAME_BUDGET and many.rho < few.rho:
                    pairs.append(Pair(many, few))
    return pairs


def selector_against(results: Sequence[Result], one: str, other: str) -> list[Pair]:
    """The same cells, selected in two ways."""
    chosen = [r for r in results if r.kind == "sparse" and r.selector in (one, other)]
    return matched(chosen, lambda r: r.selector == one, lambda r: (r.rho, r.s, r.scope, r.seed))


def interpolated_against_sparse(results: Sequence[Result]) -> list[Pair]:
    """The same slices, with and without interpolation."""
    chosen = [r for r in results if r.kind != "dense"]

    def same(r: Result) -> tuple[Any, ...]:
        return (r.rho, r.s, r.selector, r.scope, r.positive_weight, r.seed)

    return matched(chosen, lambda r: bool(r.interpolation), same)


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
    cells: dict[tuple[Any, ...], dict[int, Pair]] = defaultdict(dict)
    for pair in pairs:
        if np.isfinite(iou_of(pair.first) - iou_of(pair.second)):
            cells[pair.cell][pair.first.repeat] = pair
    if not cells:
        return None
    of_cells = [_mean_of_cell(group.values()) for group in cells.values()]
    mean = float(np.mean(of_cells))
    draws = _Draws(np.random.default_rng(seed), num_draws)
    means = np.nanmean([draws.of_cell(group) for group in cells.values()], axis=0)
    of_cases = float(np.nanvar(means, ddof=1))
    used = [pair for group in cells.values() for pair in group.values()]
    num_cases = min(pair.first.counts.shape[-2] for pair in used)
    parts = [(of_cases, max(1, num_cases - 1))]
    repeats = sorted({repeat for group in cells.values() for repeat in group})
    if len(repeats) > 1:
        # what all pairs of a repeat have in common is kept
        of_repeats = [
            np.mean([_mean_of_cell([group[k]]) for group in cells.values() if k in group])
            for k in repeats
        ]
        variance = float(np.var(of_repeats, ddof=1)) / len(repeats)
        parts.append((variance, len(repeats) - 1))
    half = _half_width(parts)
    return Difference(
        mean,
        mean - half,
        mean + half,
        sum(len(group) for group in cells.values()),
        len(cells),
        float(np.mean(np.array(of_cells) > 0)),
        len(repeats),
    )


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

    def of_cell(self, pairs: Mapping[int, Pair]) -> np.ndarray:
        """Mean difference of a pair of cells in every draw."""
        mean: np.ndarray = np.mean(
            [self._iou(pair.first) - self._iou(pair.second) for pair in pairs.values()], axis=0
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
