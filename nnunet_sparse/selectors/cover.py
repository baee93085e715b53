"""Greedy maximum cover: few slices to which every slice is similar.

A set S represents the slices U as well as ``F(S) = sum over u in U of max over s in S of
sim(u, s)`` says, with the cosine of two feature vectors as similarity (Zheng et al. 2019). F + |U|
is monotone and submodular and 0 for the empty set, if every slice counts as similar by -1 to
nothing; the greedy choice therefore reaches at least (1 - 1/e) of the best ``F + |U|`` (Nemhauser
et al. 1978).

What a slice adds to S can only shrink when S grows. So the gains of earlier steps are upper bounds,
and in each step only slices whose bound exceeds the best gain found are evaluated again (lazy
evaluation, Minoux 1978). Similarities are computed in blocks, never as one matrix.
"""

from collections.abc import Iterator

import numpy as np

# numbers in one block of similarities (64 MiB)
_BLOCK = 2**23
# gains that differ by less than this share of the number of slices count as equal, so that
# rounding, which differs between machines, decides nothing: the first slice wins
_TIE = 1e-9
_FIRST_BATCH = 16


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, in float64; rows of zeros stay zero and are similar to nothing."""
    features = np.asarray(features, dtype=np.float64)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(length > 0, length, 1)


def best_similarity(unit: np.ndarray, slices: np.ndarray, universe: np.ndarray) -> np.ndarray:
    """Similarity of each slice of the universe to the most similar of a set; -1 for none.

    Parameters
    ----------
    unit
        (n, d) rows of length 1, see :func:`unit_rows`.
    slices
        Positions of the set.
    universe
        Positions of the slices that it is to represent.

    Returns
    -------
    np.ndarray, shape (len(universe),), float64
    """
    best = np.full(len(universe), -1.0)
    for block in _blocks(slices, len(universe)):
        np.maximum(best, (unit[universe] @ unit[block].T).max(axis=1), out=best)
    return best


def greedy_cover(
    unit: np.ndarray,
    candidates: np.ndarray,
    universe: np.ndarray,
    budget: int,
    *,
    best: np.ndarray | None = None,
    coverage: float = np.inf,
) -> list[int]:
    """Choose slices one after the other, each time the one that adds most to F.

    Parameters
    ----------
    unit
        (n, d) rows of length 1, see :func:`unit_rows`.
    candidates
        Positions to choose from.
    universe
        Positions of the slices that are to be represented.
    budget
        Largest number of slices to choose, at most the number of candidates.
    best
        (len(universe),) similarity to what is chosen already; None for nothing. It is brought up to
        date.
    coverage
        Stop once the mean similarity of the universe to the chosen slices reaches this.

    Returns
    -------
    list of int
        Positions, in the order of choice.
    """
    targets = unit[universe]
    best = np.full(len(universe), -1.0) if best is None else best
    candidates = np.sort(candidates)
    tie = _TIE * len(universe)
    bound = np.full(len(candidates), np.inf)
    step_of_bound = np.full(len(candidates), -1)
    picks: list[int] = []
    while len(picks) < budget and best.mean() < coverage:
        step, gain = len(picks), -np.inf
        batch = _FIRST_BATCH if step else len(candidates)
        while True:
            stale = np.flatnonzero((step_of_bound < step) & (bound >= gain - tie))
            if not len(stale):
                break
            if len(stale) > batch:
                stale = stale[np.argpartition(-bound[stale], batch)[:batch]]
            bound[stale] = _gains(unit[candidates[stale]], targets, best)
            step_of_bound[stale] = step
            gain = max(gain, bound[stale].max())
            batch *= 2
        if gain <= tie:
            # nothing adds anything any more: the first ones
            rest = candidates[step_of_bound < budget]
            return [*picks, *rest[: budget - len(picks)].tolist()]
        equal = (step_of_bound == step) & (bound >= gain - tie)
        pick = int(np.argmax(equal))
        picks.append(int(candidates[pick]))
        np.maximum(best, targets @ unit[picks[-1]], out=best)
        step_of_bound[pick] = budget  # never again
    return picks


def _gains(rows: np.ndarray, targets: np.ndarray, best: np.ndarray) -> np.ndarray:
    """What each row would add to the sum of the best similarities."""
    gains = []
    for block in _blocks(rows, len(targets)):
        added = block @ targets.T  # [candidates, universe]
        added -= best
        np.maximum(added, 0, out=added)
        gains.append(added.sum(axis=1))
    return np.concatenate(gains)


def _blocks(rows: np.ndarray, width: int) -> Iterator[np.ndarray]:
    count = max(1, _BLOCK // max(1, width))
    for start in range(0, len(rows), count):
        yield rows[start : start + count]
