"""The slices of which a trained network is least certain."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.network_selector import (
    NetworkSelector,
    best_of,
    check_beta,
    noisy_ranks,
    ranks,
    seen_by,
)
from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register

_POWER = "Kirsch et al. 2023"


@register("entropy")
@dataclass(frozen=True)
class EntropySelector(NetworkSelector):
    """The slices whose prediction has the largest entropy."""

    source: ClassVar[str] = "Settles 2009"

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        return best_of(pool, ranks(self._values(pool), rng.random(pool.size)), budget, self.min_gap)

    def _values(self, pool: Pool) -> np.ndarray:
        return seen_by(pool).entropy


@register("bald")
@dataclass(frozen=True)
class BaldSelector(EntropySelector):
    """The slices on which the networks of an ensemble disagree most (BALD)."""

    least_networks: ClassVar[int] = 2
    source: ClassVar[str] = "Houlsby et al. 2011"

    def _values(self, pool: Pool) -> np.ndarray:
        return seen_by(pool).bald


@register("power_entropy")
@dataclass(frozen=True)
class PowerEntropySelector(NetworkSelector):
    """Slices drawn by the entropy of their prediction, so that they differ from each other.

    Kirsch et al. 2023 (TMLR): log score plus Gumbel noise divided by beta.

    Attributes
    ----------
    beta
        A slice is drawn in proportion to its score to the power of beta: the larger, the more alike
        to ``entropy``.
    """

    beta: float = 1.0

    source: ClassVar[str] = _POWER

    def __post_init__(self) -> None:
        super().__post_init__()
        check_beta("beta", self.beta)

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        rank = noisy_ranks(self._values(pool), self.beta, rng.random((2, pool.size)))
        return best_of(pool, rank, budget, self.min_gap)

    def _values(self, pool: Pool) -> np.ndarray:
        return seen_by(pool).entropy


@register("power_bald")
@dataclass(frozen=True)
class PowerBaldSelector(PowerEntropySelector):
    """Slices drawn by how much the networks of an ensemble disagree (PowerBALD)."""

    least_networks: ClassVar[int] = 2
    source: ClassVar[str] = _POWER

    def _values(self, pool: Pool) -> np.ndarray:
        return seen_by(pool).bald
