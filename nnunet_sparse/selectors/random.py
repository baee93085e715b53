"""Random slice selection."""

import numpy as np

from nnunet_sparse.selectors.registry import Selector, register


@register("random")
class RandomSelector(Selector):
    """Draw slices without replacement, uniformly or with weights.

    Weighted draws follow Efraimidis & Spirakis 2006 (Information Processing Letters 97(5)): every
    slice gets an exponential waiting time with its weight as rate, and the first ones win. That
    equals drawing one slice after the other with probabilities proportional to the weights of
    those left. Equal weights give the uniform draw.
    """

    uses_weights = True

    def _choose(
        self,
        num_slices: int,
        budget: int,
        rng: np.random.Generator,
        weights: np.ndarray | None,
    ) -> np.ndarray:
        waiting = -np.log1p(-rng.random(num_slices))
        if weights is not None:
            waiting = waiting / weights
        return np.argsort(waiting, kind="stable")[:budget]
