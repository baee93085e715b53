"""Distances, noise and weights of selectors that ask a network."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sparse.selectors import (
    Pool,
    SeenByNetwork,
    get_selector,
    selector_class,
    selector_names,
)
from nnunet_sparse.selectors.network_selector import noisy_ranks, ranks
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.randomness import generator

ALL = [name for name in selector_names() if selector_class(name).asks_network()]


def pool_of(entropy: Any, lengths: tuple[int, ...] | None = None, spacing_mm: float = 1.0) -> Pool:
    """Slices whose entropy is given; the two networks disagree by it, and see class 1 on all."""
    values = np.asarray(entropy, dtype=float)
    lengths = lengths or (len(values),)
    columns = np.stack([values, values], axis=1)
    seen = SeenByNetwork(
        values,
        values,
        columns,
        np.ones(columns.shape, int),
        np.concatenate([spacing_mm * np.arange(n) for n in lengths]),
        num_networks=2,
    )
    return Pool(lengths, np.zeros(len(values), bool), network=seen)


def select(name: str, pool: Pool, budget: int, seed: int = 0, **parameters: Any) -> list[int]:
    chosen = get_selector(name, parameters).select(pool, budget, generator(seed))
    return [int(position) for position in chosen]


def test_all_ask_a_network() -> None:
    assert ALL == ["bald", "clasp_pe", "entropy", "power_bald", "power_entropy"]


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=40)
@given(st.data())
def test_no_two_are_nearer_than_the_gap_while_there_is_room(name: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 40))
    spacing, gap = data.draw(st.sampled_from([0.7, 1.0, 2.5])), data.draw(st.floats(0, 9))
    pool = pool_of(np.random.default_rng(length).random(length), spacing_mm=spacing)
    given_before = data.draw(st.sets(st.integers(0, length - 1), max_size=2))
    pool.chosen[list(given_before)] = True
    steps = max(1, int(np.ceil(gap / spacing - 1e-9)))
    # however they are placed, each keeps 2 * steps - 1 slices from being chosen
    room = (length - len(given_before) * (2 * steps - 1)) // (2 * steps - 1)
    if room < 1:
        return
    taken = np.array(sorted({*select(name, pool, room, 1, min_gap=gap), *given_before}))
    chosen = set(select(name, pool, room, 1, min_gap=gap))
    near = [
        (a, b)
        for a, b in pairwise(taken)
        if (b - a) * spacing < gap - 1e-6 and {int(a), int(b)} & chosen
    ]
    assert near == []


@pytest.mark.parametrize("name", ALL)
def test_the_gap_gives_way_to_the_budget(name: str) -> None:
    pool = pool_of(np.linspace(0.1, 1, 8), spacing_mm=2)
    assert select(name, pool, 8, min_gap=100.0) == list(range(8))


def test_the_gap_by_hand() -> None:
    #                 0    1    2    3    4    5    6
    pool = pool_of([0.1, 0.9, 1.0, 0.8, 0.2, 0.7, 0.3])
    assert select("entropy", pool, 2, min_gap=0.0) == [1, 2]
    assert select("entropy", pool, 2, min_gap=2.0) == [2, 5]
    assert select("entropy", pool, 3, min_gap=2.0) == [0, 2, 5]
    assert select("entropy", pool, 2, min_gap=3.0) == [2, 5]
    # none is 3 mm from 2 and 5, nor 1.5 mm but 0, then 0.75 mm
    assert select("entropy", pool, 3, min_gap=3.0) == [0, 2, 5]
    assert select("entropy", pool, 4, min_gap=3.0) == [0, 1, 2, 5]
    pool.chosen[2] = True
    assert select("entropy", pool, 1, min_gap=2.0) == [5]


def test_volumes_keep_no_distance_from_each_other() -> None:
    pool = pool_of([0.1, 0.2, 0.9, 0.8, 0.2, 0.1], (3, 3))
    assert select("entropy", pool, 2, min_gap=50.0) == [2, 3]


@pytest.mark.parametrize("name", ALL)
def test_slices_of_no_uncertainty_come_last_in_random_order(name: str) -> None:
    pool = pool_of([0, 0, 0.5, 0, 0, 0, 1e-9, 0])
    chosen = {tuple(select(name, pool, 4, seed, min_gap=0.0, **_all(name))) for seed in range(30)}
    assert all({2, 6} < set(one) for one in chosen)
    assert len(chosen) > 5


def _all(name: str) -> dict[str, float]:
    """Parameters by which all slices are chosen by uncertainty."""
    return {"share": 0.0} if name == "clasp_pe" else {}


@pytest.mark.parametrize("name", ["bald", "power_bald"])
def test_one_network_cannot_disagree(name: str) -> None:
    pool = pool_of([0.1, 0.2])
    assert pool.network is not None
    object.__setattr__(pool.network, "num_networks", 1)
    with pytest.raises(SparseError, match=rf"selector {name} compares .* there are 1: .*-f 0 1"):
        select(name, pool, 1)
    assert select("entropy", pool, 1) == [1]


@pytest.mark.parametrize("name", ALL)
def test_what_is_no_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="entropy must be finite numbers"):
        select(name, pool_of([0.1, np.nan]), 1)
    with pytest.raises(ValueError, match="needs network"):
        select(name, Pool.of_volume(3), 1)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("entropy", {"pooling": "median"}, "pooling must be mean or top or patch, got 'median'"),
        ("entropy", {"min_gap": -1.0}, "min_gap must be a number from 0 on, got -1"),
        ("bald", {"min_gap": float("nan")}, "min_gap must be a number from 0 on, got nan"),
        ("power_bald", {"beta": 0.0}, "beta must be a number above 0, got 0"),
        ("clasp_pe", {"share": 1.1}, r"share must lie in \[0, 1\]"),
        ("clasp_pe", {"rounds": 0}, "rounds must be a whole number from 1 on, got 0"),
        ("clasp_pe", {"last_beta": float("inf")}, "last_beta must be a number above 0"),
    ],
)
def test_parameters_out_of_range(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SparseError, match=message):
        get_selector(name, parameters)


def test_ranks() -> None:
    assert ranks(np.array([0.5, -np.inf, 0.5]), np.array([0.9, 0.1, 0.2])).tolist() == [2, 0, 1]


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_power_noise_draws_in_proportion_to_the_power(beta: float) -> None:
    score = np.array([1.0, 4.0, 0.0])
    rng = np.random.default_rng(0)
    first = [int(np.argmax(noisy_ranks(score, beta, rng.random((2, 3))))) for _ in range(4000)]
    expected = 4**beta / (1 + 4**beta)
    # standard deviation at most 0.5 / sqrt(4000) = 0.008
    assert np.mean(np.array(first) == 1) == pytest.approx(expected, abs=0.035)
    assert 2 not in first


def test_numbers_at_the_ends_are_no_trouble() -> None:
    edge = np.array([[0.0, 1 - 2**-53, 0.5], [0.1, 0.2, 0.3]])
    with np.errstate(all="raise"):
        assert noisy_ranks(np.ones(3), 1.0, edge).tolist() == [0, 2, 1]
