"""Core-set selection."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import Selector, register


@register("coreset")
@dataclass(frozen=True)
class CoreSetSelector(Selector):
    """Core-set: greedy k-centres in the space of image features.

    Sener & Savarese 2018 (ICLR), algorithm 1: the next slice is the one farthest from all that are
    chosen, by Euclidean distance. Its covering radius is at most twice the best one. The first
    slice is random where nothing is annotated yet. Without the robust variant's mixed integer
    programme.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"features"})
    source: ClassVar[str] = "Sener & Savarese 2018"

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        assert pool.features is not None
        features = np.asarray(pool.features, dtype=np.float64)
        distance = np.full(pool.size, np.inf)
        for position in np.flatnonzero(pool.chosen).tolist():
            np.minimum(distance, _squared_distance(features, position), out=distance)
        distance[pool.chosen] = -1
        picks: list[int] = []
        while len(picks) < budget:
            if np.isinf(distance).any():
                pick = int(rng.random() * pool.size)
            else:
                pick = int(np.argmax(distance))
            picks.append(pick)
            np.minimum(distance, _squared_distance(features, pick), out=distance)
            distance[pick] = -1
        return np.array(picks)


def _squared_distance(features: np.ndarray, position: int) -> np.ndarray:
    difference = features - features[position]
    squared: np.ndarray = np.einsum("nd,nd->n", difference, difference)
    return squared
