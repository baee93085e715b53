"""Stratified slice selection."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register
from nnunet_sparse.selectors.selector import Selector
from nnunet_sparse.selectors.weights import certain, one_of_each_step


@register("stratified")
@dataclass(frozen=True)
class StratifiedSelector(Selector):
    """One random slice from each of equal parts of the volume (jittered sampling).

    Of n slices and a budget of k, part i holds the slices from ``floor(i * n / k)`` up to the next
    part. Where k does not divide n the parts differ by one slice, so that the slices of the larger
    parts are a little less likely than the others. With weights the parts are about equal in
    weight, of the slices that are not certain (:mod:`nnunet_sparse.selectors.weights`), and of a
    part slices are drawn in proportion to theirs.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"weights"})

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        available, numbers = pool.available, rng.random(budget)
        weights = pool.relative_weights[available]
        taken = certain(weights, budget)
        left = available[~taken]
        drawn = left[one_of_each_step(weights[~taken], numbers[: budget - int(taken.sum())])]
        return np.concatenate([available[taken], drawn])
