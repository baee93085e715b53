"""Fixed-interval slice selection."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register
from nnunet_sparse.selectors.selector import Selector
from nnunet_sparse.selectors.weights import spread

_MIDDLE = 0.5


@register("fixed")
@dataclass(frozen=True)
class FixedSelector(Selector):
    """Every n-th slice: the middles of equal parts of the volume.

    Of n slices and a budget of k slice i is ``floor((i + 0.5) * n / k)``; the seed does not shift
    it. Slices that are annotated already do not count. With weights the parts are equal in weight,
    of the slices that are not certain (:mod:`nnunet_sparse.selectors.weights`).
    """

    uses: ClassVar[frozenset[str]] = frozenset({"weights"})

    def _choose(
        self,
        pool: Pool,
        budget: int,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> np.ndarray:
        available = pool.available
        return np.asarray(available[spread(pool.relative_weights[available], budget, _MIDDLE)])
