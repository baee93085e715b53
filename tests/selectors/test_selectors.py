"""What holds for every selector, and what is particular to ours."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.errors import SparseError
from nnunet_sparse.randomness import generator
from nnunet_sparse.selectors import Selector, get_selector, register, selector_names


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    num_slices = draw(st.integers(1, 300))
    return num_slices, draw(st.integers(1, num_slices))


@pytest.mark.parametrize("name", selector_names())
@given(sizes(), st.integers(0, 2**31))
def test_chooses_exactly_the_budget_without_repetition(
    name: str, size: tuple[int, int], seed: int
) -> None:
    num_slices, budget = size
    chosen = get_selector(name).select(num_slices, budget, generator(seed))
    assert chosen.dtype == np.int64
    assert len(chosen) == budget
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0
    assert chosen[-1] < num_slices
    np.testing.assert_array_equal(
        chosen, get_selector(name).select(num_slices, budget, generator(seed))
    )


@pytest.mark.parametrize("name", selector_names())
@pytest.mark.parametrize("budget", [0, 11])
def test_budget_out_of_range(name: str, budget: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.10"):
        get_selector(name).select(10, budget, generator(0))


def test_unknown_selector_names_the_known_ones() -> None:
    with pytest.raises(SparseError, match="'nope', choose from fixed, random"):
        get_selector("nope")


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ValueError, match="already registered"):
        register("fixed")(Selector)


@given(sizes())
def test_fixed_is_the_formula(size: tuple[int, int]) -> None:
    num_slices, k = size
    expected = [math.floor((i + 0.5) * num_slices / k) for i in range(k)]
    assert list(get_selector("fixed").select(num_slices, k, generator(0))) == expected


def test_fixed_by_hand() -> None:
    assert list(get_selector("fixed").select(10, 3, generator(0))) == [1, 5, 8]


def test_fixed_takes_no_weights() -> None:
    with pytest.raises(ValueError, match="does not take weights"):
        get_selector("fixed").select(4, 1, generator(0), np.ones(4))


def test_random_draws_every_slice_equally_often() -> None:
    counts = np.zeros(8)
    for seed in range(4000):
        counts[get_selector("random").select(8, 2, generator(seed))] += 1
    # expected 1000 each, standard deviation sqrt(4000 * 1/4 * 3/4) = 27
    assert np.abs(counts - 1000).max() < 4.5 * 27


def test_positive_weight_is_a_ratio_of_probabilities() -> None:
    weights = np.array([3.0, 1.0, 1.0, 1.0])
    draws = [get_selector("random").select(4, 1, generator(s), weights)[0] for s in range(4000)]
    # the first slice wins with probability 3 / 6, standard deviation 0.008
    assert np.mean(np.array(draws) == 0) == pytest.approx(0.5, abs=0.035)


def test_equal_weights_change_nothing() -> None:
    select = get_selector("random").select
    np.testing.assert_array_equal(
        select(50, 7, generator(3)), select(50, 7, generator(3), np.ones(50))
    )
