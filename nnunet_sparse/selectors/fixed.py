"""Fixed-interval slice selection."""

import numpy as np

from nnunet_sparse.selectors.registry import Selector, register


@register("fixed")
class FixedSelector(Selector):
    """Every n-th slice: the middles of ``budget`` equal parts of the volume.

    Slice i is ``floor((i + 0.5) * num_slices / budget)``; the seed does not shift it.
    """

    def _choose(
        self,
        num_slices: int,
        budget: int,
        rng: np.random.Generator,  # noqa: ARG002
        weights: np.ndarray | None,  # noqa: ARG002
    ) -> np.ndarray:
        # in whole numbers, so that no rounding moves a slice
        return (2 * np.arange(budget, dtype=np.int64) + 1) * num_slices // (2 * budget)
