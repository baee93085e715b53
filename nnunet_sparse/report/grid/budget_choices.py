"""Ways of spending a budget, and how well each is expected to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.grid.cell_kinds import DENSE, INTERPOLATED, PARTNER, ROUND, SPARSE
from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.score_surface import Annotation, ScoreSurface
from nnunet_sparse.report.grid.spending import Spending, Volumes
from nnunet_sparse.selection.budget import num_annotated_volumes

MIN_TRAININGS = 3
_LEVEL = 0.9
_MAX_SPENDINGS = 25
# whole slices seldom give exactly the densities that were tried
_BEYOND = 1.05
_UNUSED = {
    DENSE: "dense",
    INTERPOLATED: "interpolated",
    PARTNER: "paired with interpolated ones",
    ROUND: "annotated in rounds",
}


@dataclass(frozen=True)
class Choice:
    """A way of spending a budget, and what is expected of it.

    Attributes
    ----------
    annotation
        Density, volume fraction and selector.
    spending
        The volumes and slices that this amounts to.
    mean, low, high
        Expected batched IoU and its 90 % interval.
    probability
        How likely it is the best of all choices.
    behind
        How likely the choice with the highest mean is better than it.
    """

    annotation: Annotation
    spending: Spending
    mean: float
    low: float
    high: float
    probability: float
    behind: float


def choices(
    results: Sequence[Result], budget: int, num_slices: Mapping[str, int], seed: int = 0
) -> list[Choice]:
    """Ways of spending a budget within the range of an experiment, the best first.

    Only densities and volume fractions between those that were tried are looked at (densities
    up to 5 % beyond them, as they are those of whole slices).

    Parameters
    ----------
    results
        One result of each training, of one task and way of training.
    budget
        Slices that can be annotated.
    num_slices
        Length of the slice axis of each training volume, by case ID.
    seed
        Of the choice of volumes, as in ``nnsparse_make_dataset``.

    Returns
    -------
    list of Choice
        Empty if fewer than three trainings can be used, or the budget is out of their range.
    """
    used = [r for r in results if not reason_against(r)]
    if len(used) < MIN_TRAININGS:
        return []
    volumes = Volumes(num_slices, seed)
    spendings = _spendings(used, budget, volumes)
    if not spendings:
        return []
    ways = sorted({r.variant.way_of_choosing for r in used})
    candidates = [(w, Annotation(w.rho, w.s, k)) for w in spendings for k in ways]
    surface = _fitted(used, num_slices)
    draws = surface.draws([volumes.actual(a.rho, a.s, a.selector) for _, a in candidates])
    outside = (1 - _LEVEL) / 2
    low, high = np.quantile(draws, [outside, 1 - outside], axis=0)
    best = np.bincount(draws.argmax(axis=1), minlength=len(candidates)) / len(draws)
    means = draws.mean(axis=0)
    behind = (draws[:, [means.argmax()]] > draws).mean(axis=0)
    columns = (means, low, high, best, behind)
    found = [
        Choice(annotation, spending, *(float(column[i]) for column in columns))
        for i, (spending, annotation) in enumerate(candidates)
    ]
    return sorted(found, key=lambda choice: -choice.mean)


def _fitted(results: Sequence[Result], num_slices: Mapping[str, int]) -> ScoreSurface:
    """Scores over the shares of slices and volumes that were annotated."""
    of_seeds = {seed: Volumes(num_slices, seed) for seed in {r.variant.seed for r in results}}
    return ScoreSurface(
        [
            of_seeds[r.variant.seed].actual(density_of(r), r.variant.s, r.variant.way_of_choosing)
            for r in results
        ],
        [r.batched_IoU for r in results if r.batched_IoU is not None],
    )


def density_of(result: Result) -> float:
    """Density of a result that is used."""
    rho = result.variant.rho
    assert rho is not None
    return rho


def reason_against(result: Result) -> str:
    """Why a result does not enter the fit; empty if it does."""
    if result.kind != SPARSE:
        return _UNUSED.get(result.kind, result.kind)
    if result.variant.scope != "volume":
        return f"with scope {result.variant.scope}"
    if result.variant.rho is None:
        return "with a number of slices instead of a density"
    return "" if result.batched_IoU is not None else "without a defined IoU"


def _spendings(results: Sequence[Result], budget: int, volumes: Volumes) -> list[Spending]:
    """Ways of spending a budget in the range of what was tried."""
    rhos = sorted({density_of(r) for r in results})
    fractions = sorted({r.variant.s for r in results})
    least, most = rhos[0] / _BEYOND, min(1.0, rhos[-1] * _BEYOND)
    tried = {num_annotated_volumes(s, volumes.number) for s in fractions}
    # each of the volumes could have one slice more at the highest density
    too_few = int((volumes.costs(most) + np.arange(1, volumes.number + 1) < budget).sum())
    affordable = int((volumes.costs(least) <= budget).sum())
    first, last = max(min(tried), too_few + 1), min(max(tried), affordable)
    if first > last:
        return []
    numbers = {round(x) for x in np.geomspace(first, last, _MAX_SPENDINGS)}
    numbers |= {number for number in tried if first <= number <= last}
    found = [volumes.spend(budget, n, rhos, fractions) for n in sorted(numbers)]
    return [spending for spending in found if least <= spending.rho <= most]
