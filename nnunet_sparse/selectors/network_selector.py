"""What selectors that ask a trained network have in common."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.seen_by_network import SeenByNetwork
from nnunet_sparse.selectors.selector import Selector

POOLINGS = ("mean", "top", "patch")
# rounding of positions that are computed from spacings
_TIE_MM = 1e-6


@dataclass(frozen=True)
class NetworkSelector(Selector):
    """Slices of which a trained network is uncertain.

    Attributes
    ----------
    pooling
        How the voxels of a slice become one number: their ``mean``, the mean of the ``top`` tenth,
        or the largest value of a blurred ``patch``.
    min_gap
        Distance in mm that slices of one volume keep, those that are annotated already included, as
        far as the budget allows: where no slice is that far away, half of it holds, and so on.
    """

    pooling: str = "mean"
    min_gap: float = 5.0

    uses: ClassVar[frozenset[str]] = frozenset({"network"})

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be {' or '.join(POOLINGS)}, got {self.pooling!r}")
        _check_number("min_gap", self.min_gap, 0)


def seen_by(pool: Pool) -> SeenByNetwork:
    """What the network says of a pool, of which that has been checked."""
    assert pool.network is not None
    return pool.network


class Picks:
    """Slices that are chosen one after the other and keep a distance.

    Parameters
    ----------
    pool
        The slices.
    min_gap
        As :class:`NetworkSelector` has it.
    """

    def __init__(self, pool: Pool, min_gap: float) -> None:
        self.positions: list[int] = []
        self._gap = min_gap
        self._volume = np.repeat(np.arange(len(pool.num_slices)), pool.num_slices)
        self._place = np.asarray(seen_by(pool).position_mm, dtype=np.float64)
        self._left = ~pool.chosen
        # to the nearest slice that is annotated or chosen
        self._distance = np.full(pool.size, np.inf)
        for position in np.flatnonzero(pool.chosen).tolist():
            self._keep_from(position)

    def add_best(self, rank: np.ndarray, candidates: np.ndarray | None = None) -> None:
        """Choose the slice of highest rank that keeps the distance.

        Parameters
        ----------
        rank
            (n,) no two equal.
        candidates
            (n,) bool, slices to choose from; all that are left if None, or if none of these is.
        """
        some = self._left if candidates is None else self._left & candidates
        if not some.any():
            some = self._left
        gap = self._gap
        while not (far := some & (self._distance >= gap - _TIE_MM)).any():
            gap = gap / 2 if gap > _TIE_MM else -math.inf
        position = int(np.flatnonzero(far)[np.argmax(rank[far])])
        self.positions.append(position)
        self._left[position] = False
        self._keep_from(position)

    def is_left(self, candidates: np.ndarray) -> bool:
        """Whether any of some slices, (n,) bool, can still be chosen."""
        return bool((self._left & candidates).any())

    def _keep_from(self, position: int) -> None:
        same = np.flatnonzero(self._volume == self._volume[position])
        distance = np.abs(self._place[same] - self._place[position])
        self._distance[same] = np.minimum(self._distance[same], distance)


def best_of(pool: Pool, rank: np.ndarray, budget: int, min_gap: float) -> np.ndarray:
    """Positions of highest rank that keep a distance.

    Parameters
    ----------
    pool
        The slices.
    rank
        (n,) no two equal.
    budget
        Their number.
    min_gap
        As :class:`NetworkSelector` has it.
    """
    picks = Picks(pool, min_gap)
    while len(picks.positions) < budget:
        picks.add_best(rank)
    return np.array(picks.positions)


def ranks(key: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Place of each slice in the order of a key; of equal ones random numbers decide.

    Parameters
    ----------
    key
        (n,) may be infinite.
    numbers
        (n,) uniform in [0, 1).
    """
    rank = np.empty(len(key), dtype=np.int64)
    rank[np.lexsort((numbers, key))] = np.arange(len(key))
    return rank


def noisy_ranks(score: np.ndarray, beta: float, numbers: np.ndarray) -> np.ndarray:
    """Place of each slice in the order of ``log(score) + Gumbel noise / beta``.

    Kirsch et al. 2023 (TMLR, "Stochastic batch acquisition"), the power distribution: taking the
    first ones draws without replacement in proportion to ``score ** beta``. Slices of score 0 come
    last, in random order.

    Parameters
    ----------
    score
        (n,) uncertainties; what rounding has made negative counts as 0.
    beta
        The larger, the less noise.
    numbers
        (2, n) uniform in [0, 1).
    """
    uniform = np.maximum(numbers[0], np.finfo(np.float64).tiny)
    gumbel = -np.log(-np.log(uniform))
    with np.errstate(divide="ignore"):
        key = np.log(np.maximum(score, 0)) + gumbel / beta
    return ranks(key, numbers[1])


def _check_number(name: str, value: float, least: float) -> None:
    if not (math.isfinite(value) and value >= least):
        raise ValueError(f"{name} must be a number from {least:g} on, got {value:g}")


def check_beta(name: str, value: float) -> None:
    """Refuse a beta that is no number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a number above 0, got {value:g}")
