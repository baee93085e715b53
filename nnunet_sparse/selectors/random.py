"""Random slice selection."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register
from nnunet_sparse.selectors.selector import Selector


@register("random")
@dataclass(frozen=True)
class RandomSelector(Selector):
    """Slices drawn without replacement, uniformly or with weights.

    Weighted draws follow Efraimidis & Spirakis 2006 (Information Processing Letters 97(5)): every
    slice gets an exponential waiting time with its weight as rate, and the first ones win. That
    equals drawing one slice after the other with probabilities proportional to the weights of
    those left. Equal weights give the uniform draw.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"weights"})

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        waiting = -np.log1p(-rng.random(pool.size))
        if pool.weights is not None:
            waiting = waiting / pool.weights
        waiting[pool.chosen] = np.inf
        return np.argsort(waiting, kind="stable")[:budget]
