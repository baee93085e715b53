"""Fixed-interval slice selection."""

from dataclasses import dataclass

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import Selector, register


@register("fixed")
@dataclass(frozen=True)
class FixedSelector(Selector):
    """Every n-th slice: the middles of equal parts of the volume.

    Of n slices and a budget of k slice i is ``floor((i + 0.5) * n / k)``; the seed does not shift
    it. Slices that are annotated already do not count.
    """

    def _choose(
        self,
        pool: Pool,
        budget: int,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> np.ndarray:
        available = pool.available
        # in whole numbers, so that no rounding moves a slice
        middles = (2 * np.arange(budget, dtype=np.int64) + 1) * len(available) // (2 * budget)
        return available[middles]
