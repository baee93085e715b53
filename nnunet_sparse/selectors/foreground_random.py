"""Random selection that knows where the foreground is."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register
from nnunet_sparse.selectors.selector import Selector
from nnunet_sparse.selectors.weights import drawn


@register("foreground_random")
@dataclass(frozen=True)
class ForegroundRandomSelector(Selector):
    """Random slices, a share of them drawn for a random class that they show (simulation only).

    The foreground-aware random baseline of nnActive (Lueth et al. 2025, arXiv 2511.19183), which
    active learning has to beat. It differs in its unit: slices here, patches there. With weights a
    slice is drawn in proportion to its own from those that show the class, or from all.

    Attributes
    ----------
    share
        Share of the slices that are drawn for a class; 0.66 and 0.33 in nnActive.
    """

    share: float = 0.66

    uses: ClassVar[frozenset[str]] = frozenset({"classes", "weights"})
    source: ClassVar[str] = "Lueth et al. 2025, nnActive"

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must lie in [0, 1], got {self.share}")

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        assert pool.classes is not None
        left, weights = ~pool.chosen, pool.relative_weights
        chosen = []
        # three numbers per slice, so that a larger budget only adds slices
        for for_class, which_class, which_slice in rng.random((budget, 3)):
            candidates = np.flatnonzero(left)
            shown = pool.classes & left[:, None]
            present = np.flatnonzero(shown.any(axis=0))
            if for_class < self.share and len(present):
                label = present[int(which_class * len(present))]
                candidates = np.flatnonzero(shown[:, label])
            chosen.append(candidates[drawn(weights[candidates], which_slice)])
            left[chosen[-1]] = False
        return np.array(chosen)
