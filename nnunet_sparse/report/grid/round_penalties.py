"""How often one selector beats another in rounds of annotation: the pairwise penalty matrix."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from nnunet_sparse.report.grid.round_lines import RoundLines, pairs_of_lines

LEVEL = 0.05
_LEAST_RUNS = 2


def penalty_matrix(every: Sequence[RoundLines]) -> dict[tuple[str, str], float]:
    """Share of settings and rounds in which the first of two selectors beats the second.

    Ash et al. 2020 ("Deep batch active learning by diverse, uncertain gradient lower bounds",
    section 4), as used by nnActive: one beats the other after a round if a paired two-sided t test
    over the runs is significant at 5 %. Deviations: runs are pairs of seed and repeat; the first
    round, which all have in common, does not count; it is divided by the number of settings (tasks,
    ways of training, volume fractions, scopes), so that 1 is the most.

    Parameters
    ----------
    every
        Settings; those without two runs of both selectors after any round count for no pair.

    Returns
    -------
    dict of float
        By the names of both, for those that could be compared.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for lines in every:
        for one, other in permutations(lines.names, 2):
            wins = _wins(lines, one, other)
            if wins:
                found.setdefault((one, other), []).append(float(np.mean(wins)))
    return {pair: float(np.mean(shares)) for pair, shares in found.items()}


def _wins(lines: RoundLines, one: str, other: str) -> list[bool]:
    """Whether one beats the other after each round in which there are runs enough."""
    pairs = pairs_of_lines(lines.scored, one, other)
    wins = []
    for _, of_round in pairs[pairs["round"] > 1].groupby("round"):
        gains = (of_round["batched_IoU_first"] - of_round["batched_IoU_second"]).to_numpy(float)
        if len(gains) >= _LEAST_RUNS:
            wins.append(is_better(gains))
    return wins


def is_better(gains: np.ndarray) -> bool:
    """Whether differences (n,), at least two, are significantly above 0."""
    from scipy import stats

    mean, deviation = gains.mean(), gains.std(ddof=1)
    if deviation == 0:  # equal in all runs
        return bool(mean > 0)
    t = mean / deviation * np.sqrt(len(gains))
    return bool(t > stats.t.ppf(1 - LEVEL / 2, len(gains) - 1))
