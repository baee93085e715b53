"""Core-set selection."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register
from nnunet_sparse.selectors.selector import Selector

_TIE = 1e-9


@register("coreset")
@dataclass(frozen=True)
class CoreSetSelector(Selector):
    """Core-set: greedy k-centres in the space of image features.

    Sener & Savarese 2018 (ICLR), algorithm 1: the next slice is the one farthest from all that are
    chosen, by Euclidean distance of their features (standardised over all training slices, as
    ``nnsparse_make_dataset`` gives them). Its covering radius is at most twice the best one. The
    first slice is random where nothing is annotated yet. Without the robust variant's mixed integer
    programme.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"features"})
    source: ClassVar[str] = "Sener & Savarese 2018"

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        assert pool.features is not None
        features = np.asarray(pool.features, dtype=np.float64)
        squares = np.einsum("nd,nd->n", features, features)
        tie = _TIE * max(1e-300, float(squares.max()))
        distance = np.full(pool.size, np.inf)

        def add(position: int) -> None:
            to_it = squares + squares[position] - 2 * (features @ features[position])
            np.minimum(distance, to_it, out=distance)

        for position in np.flatnonzero(pool.chosen).tolist():
            add(position)
        distance[pool.chosen] = -np.inf
        picks: list[int] = []
        while len(picks) < budget:
            if np.isposinf(distance).any():
                pick = int(rng.random() * pool.size)
            else:
                # the first of those that are equally far, up to rounding
                pick = int(np.argmax(distance >= distance.max() - tie))
            picks.append(pick)
            add(pick)
            distance[pick] = -np.inf
        return np.array(picks)
