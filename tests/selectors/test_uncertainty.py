"""Which uncertainty each selector looks at."""

import numpy as np
import pytest

from nnunet_sparse.selectors import Pool, SeenByNetwork, get_selector
from nnunet_sparse.system.randomness import generator


def pool() -> Pool:
    """Entropy is largest on slice 1, the disagreement on slice 3."""
    entropy, bald = np.array([1.0, 900, 1, 1, 1]), np.array([1e-3, 0, 1e-3, 9e2, 1e-3])
    columns = np.ones((5, 2))
    seen = SeenByNetwork(entropy, bald, columns, columns, 9.0 * np.arange(5), num_networks=3)
    return Pool.of_volume(5, network=seen)


@pytest.mark.parametrize(
    ("name", "best"), [("entropy", 1), ("power_entropy", 1), ("bald", 3), ("power_bald", 3)]
)
def test_the_least_certain_slice(name: str, best: int) -> None:
    parameters = {"beta": 20.0} if name.startswith("power") else {}
    selector = get_selector(name, parameters)
    assert [selector.select(pool(), 1, generator(seed)).tolist() for seed in range(5)] == [
        [best]
    ] * 5


def test_a_small_beta_draws_almost_evenly() -> None:
    selector = get_selector("power_entropy", {"beta": 1e-6})
    drawn = {int(selector.select(pool(), 1, generator(seed))[0]) for seed in range(60)}
    assert drawn == set(range(5))
