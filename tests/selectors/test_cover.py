from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sparse.selectors import cover
from nnunet_sparse.selectors.cover import best_similarity, greedy_cover, unit_rows


def random_unit(seed, n, d=3):
    return unit_rows(np.random.default_rng(seed).normal(size=(n, d)))


def score(unit, chosen, universe=None):
    universe = np.arange(len(unit)) if universe is None else universe
    return float(best_similarity(unit, np.array(chosen, int), universe).sum())


def textbook(unit, candidates, universe, budget):
    """Greedy choice that computes F for every candidate in every step."""
    picks = []
    for _ in range(budget):
        values = {c: score(unit, [*picks, c], universe) for c in candidates if c not in picks}
        best = max(values.values())
        picks.append(min(c for c, v in values.items() if v >= best - 1e-9 * len(universe)))
    return picks


def test_rows_have_length_one():
    unit = unit_rows(np.array([[3.0, 4], [0, 0], [0, -2]], np.float32))
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0, 0], [0, -1]])


def test_best_similarity_by_hand():
    unit = np.array([[1.0, 0], [0, 1], [-1, 0]])
    everything = np.arange(3)
    assert best_similarity(unit, np.array([0, 1]), everything).tolist() == [1, 1, 0]
    assert best_similarity(unit, np.array([], int), everything).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("block", [1, 50, 2**23])
@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 14))
def test_lazy_choice_is_the_textbook_choice(block, seed, budget):
    unit = random_unit(seed, 14)
    unit[7:10] = unit[3]  # several alike
    rng = np.random.default_rng(seed)
    universe = np.flatnonzero(rng.random(14) < 0.8)
    candidates = np.sort(rng.permutation(14)[: max(budget, 10)])
    universe = universe if len(universe) else candidates
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cover, "_BLOCK", block)
        patch.setattr(cover, "_FIRST_BATCH", 1)
        found = greedy_cover(unit, candidates, universe, min(budget, len(candidates)))
    assert found == textbook(unit, candidates, universe, min(budget, len(candidates)))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_within_the_bound_of_the_optimum(seed, budget):
    unit, everything = random_unit(seed, 9), np.arange(9)
    best = max(score(unit, list(c)) for c in combinations(range(9), budget))
    found = score(unit, greedy_cover(unit, everything, everything, budget))
    # F + |U| is what the bound is about
    assert found + 9 >= (1 - 1 / np.e) * (best + 9) - 1e-9


def test_stops_at_the_coverage():
    unit = np.eye(4)[[0, 0, 1, 2]]
    everything = np.arange(4)
    picks = greedy_cover(unit, everything, everything, 4, coverage=0.7)
    assert picks == [0, 2]
    assert greedy_cover(unit, everything, everything, 4, best=np.ones(4), coverage=0.9) == []
