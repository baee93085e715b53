"""What weights of slices mean to selectors.

A slice of weight w counts w times as much as one of weight 1: when one is drawn, it is w times as
likely, and when slices are spread over a volume, it takes up w times as much room. Of k slices it
is chosen with a probability in proportion to w, or for certain where that would exceed 1; the
others then share what is left of k, as is usual in sampling with unequal probabilities. So a large
weight makes slices certain, as far as k goes, and the rest is spread over the others. (Slices that
are drawn one after the other, by ``random``, have such odds in each draw.)

Selectors that do not look at weights (``ual`` and ``coreset`` among them) get the slices of each
weight as a stratum, with as many slices as these probabilities add up to; a fraction is rounded up
or down by chance, so that over many volumes they hold. Equal weights give bit for bit what none
give: they are divided by the smallest first, so that equal ones are 1.
"""

import numpy as np

# larger ratios would lose the small weights in sums
_LARGEST = 1e12


def relative(weights: np.ndarray) -> np.ndarray:
    """Weights as multiples of the smallest, float64, up to 10^12."""
    weights = np.asarray(weights, dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(weights / weights.min(initial=np.inf), _LARGEST))


def certain(weights: np.ndarray, budget: int) -> np.ndarray:
    """Slices whose weight makes them certain, (n,) bool, for a budget from 1 to n.

    Of the others none has more than its share: the sum of their weights, divided by what is left of
    the budget.
    """
    taken = np.zeros(len(weights), bool)
    while (count := budget - int(taken.sum())) > 0:
        left = np.flatnonzero(~taken)
        of_left = relative(weights[left])
        larger = of_left * count > of_left.sum()
        if not larger.any() or larger.all():
            break
        taken[left[larger]] = True
    return taken


def strata(weights: np.ndarray, budget: int, number: float) -> list[tuple[np.ndarray, int]]:
    """Slices of each weight, and how many of them are to be chosen.

    Parameters
    ----------
    weights
        (n,) positive.
    budget
        Number of slices, from 1 to n.
    number
        Uniform in [0, 1); it decides how fractions are rounded.

    Returns
    -------
    list of (np.ndarray, int)
        Ascending indices and their number, by rising weight; strata of which nothing is chosen are
        left out.
    """
    taken = certain(weights, budget)
    count = budget - int(taken.sum())
    probability = np.where(taken, 1.0, count * weights / weights[~taken].sum())
    groups = [np.flatnonzero(weights == weight) for weight in np.unique(weights)]
    ends = np.cumsum([probability[group].sum() for group in groups])
    # up to rounding errors: sums of certain slices are whole
    fractions, wholes = np.modf(np.round(ends, 9))
    # compared with 1 alone: beside a whole number, one just below 1 would be rounded to 1
    rounded = wholes.astype(int) + (np.round(fractions, 9) + number >= 1)
    rounded[-1] = budget
    counts = np.diff(rounded, prepend=0).tolist()
    return [(group, n) for group, n in zip(groups, counts, strict=True) if n]


def drawn(weights: np.ndarray, number: float) -> int:
    """Index drawn in proportion to the weights by a uniform number in [0, 1)."""
    ends = np.cumsum(relative(weights))
    index = int(np.searchsorted(ends, number * ends[-1], side="right"))
    return min(index, len(ends) - 1)


def spread(weights: np.ndarray, budget: int, start: float) -> np.ndarray:
    """Slices that are certain, and of the others those at equal steps, see :func:`at_steps`.

    Returns
    -------
    np.ndarray, shape (budget,), int64
        Indices, the certain ones first.
    """
    taken = certain(weights, budget)
    left = np.flatnonzero(~taken)
    count = budget - int(taken.sum())
    return np.concatenate([np.flatnonzero(taken), left[at_steps(weights[left], count, start)]])


def at_steps(weights: np.ndarray, budget: int, start: float) -> np.ndarray:
    """Slices at equal steps of the cumulated weight.

    Systematic sampling (Madow 1949): with a uniform start each slice has a probability in
    proportion to its weight.

    Parameters
    ----------
    weights
        (n,) positive. None may be larger than a step, see :func:`certain`.
    budget
        Number of steps.
    start
        Where in a step its slice lies, in [0, 1); 0.5 is the middle.

    Returns
    -------
    np.ndarray, shape (budget,), int64
        Ascending indices.
    """
    ends, steps = np.cumsum(relative(weights)), np.arange(budget)
    # without divisions, so that no rounding moves a slice where all weights are equal
    found = np.searchsorted(2 * budget * ends, 2 * (steps + start) * ends[-1], side="right")
    # rounded, both ends of a step may lie in one slice
    found = np.maximum.accumulate(found - steps) + steps
    return np.asarray(np.minimum(found, len(ends) - budget + steps))


def one_of_each_step(weights: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """One slice of each of equal steps of the cumulated weight, drawn in proportion to the weights.

    A slice belongs to the step in which its middle lies, moved on by half of the smallest weight:
    with equal weights, its end. None may be larger than a step, see :func:`certain`; then every
    step has one.

    Parameters
    ----------
    weights
        (n,) positive.
    numbers
        (budget,) uniform in [0, 1), one for each step.

    Returns
    -------
    np.ndarray, shape (budget,), int64
        Ascending indices.
    """
    budget, weights = len(numbers), relative(weights)
    ends = np.cumsum(weights)
    steps = np.arange(1, budget) * ends[-1]
    inner = np.searchsorted(budget * (ends - (weights - 1) / 2), steps, side="right")
    bounds = [0, *inner.tolist(), len(ends)]
    return np.array(
        [
            first + drawn(weights[first:end], number)
            for first, end, number in zip(bounds, bounds[1:], numbers.tolist(), strict=False)
        ],
        dtype=np.int64,
    )
