"""Stratified slice selection."""

from dataclasses import dataclass

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import Selector, register


@register("stratified")
@dataclass(frozen=True)
class StratifiedSelector(Selector):
    """One random slice from each of equal parts of the volume (jittered sampling).

    Of n slices and a budget of k, part i holds the slices from ``floor(i * n / k)`` up to the next
    part. Where k does not divide n the parts differ by one slice, so that the slices of the larger
    parts are a little less likely than the others.
    """

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        available = pool.available
        bounds = np.arange(budget + 1, dtype=np.int64) * len(available) // budget
        lengths = np.diff(bounds)
        offsets = np.minimum((rng.random(budget) * lengths).astype(np.int64), lengths - 1)
        return np.asarray(available[bounds[:-1] + offsets])
