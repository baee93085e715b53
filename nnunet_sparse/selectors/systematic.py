"""Systematic slice selection from a random start."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register
from nnunet_sparse.selectors.selector import Selector
from nnunet_sparse.selectors.weights import spread


@register("systematic")
@dataclass(frozen=True)
class SystematicSelector(Selector):
    """Every n-th slice from a random first one (systematic uniform random sampling).

    Of n slices and a budget of k slice i is ``floor((i + u) * n / k)``, u uniform in [0, 1) and
    drawn once for all i: with scope ``volume`` once for each volume. So the distance between slices
    is fixed, and every slice has the same probability, k / n, also where k does not divide n
    (fractional steps). ``fixed`` is the same with u = 0.5 for all volumes, by which some slices
    have the probability 1 and the others 0. Slices that are annotated already do not count: an
    addition takes steps of its own, from a start of its own, over the slices that are left, each of
    which is equally likely. With weights steps are equal in weight, of the slices that are not
    certain (:mod:`nnunet_sparse.selectors.weights`), as of Madow 1949.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"weights"})
    source: ClassVar[str] = "Cochran 1977, chapter 8; Gundersen and Jensen 1987"

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        available = pool.available
        found = spread(pool.relative_weights[available], budget, rng.random())
        return np.asarray(available[found])
