import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.weights import (
    at_steps,
    certain,
    drawn,
    one_of_each_step,
    relative,
    spread,
    strata,
)


@st.composite
def weighted(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    weights = draw(st.lists(st.sampled_from([0.1, 1.0, 2.5, 7.0, 1e9]), min_size=1, max_size=30))
    return np.array(weights), draw(st.integers(1, len(weights)))


def test_multiples_of_the_smallest() -> None:
    assert relative(np.array([0.1, 0.3, 0.1])).tolist() == pytest.approx([1, 3, 1])
    assert relative(np.array([2.3, 2.3])).tolist() == [1, 1]
    assert relative(np.array([1e-300, 1e300])).tolist() == [1, 1e12]
    assert relative(np.zeros(0)).tolist() == []


def test_certain_slices_by_hand() -> None:
    # of 12, a third is 4; then 2 and 3 share 2 slices with 1, whose half is 3
    assert certain(np.array([1.0, 2, 3, 6]), 3).tolist() == [False, False, False, True]
    assert certain(np.array([1.0, 1, 4, 6]), 3).tolist() == [False, False, True, True]
    assert not certain(np.ones(5), 5).any()


@given(weighted())
def test_none_of_the_others_has_more_than_its_share(case: tuple[np.ndarray, int]) -> None:
    weights, budget = case
    taken = certain(weights, budget)
    left, count = weights[~taken], budget - int(taken.sum())
    assert 0 <= count <= len(left)
    assert left.max() * count <= left.sum() * (1 + 1e-9)
    if taken.any():
        assert weights[taken].min() > left.max()


@given(weighted(), st.floats(0, 0.999))
def test_strata_have_what_their_slices_add_up_to(
    case: tuple[np.ndarray, int], number: float
) -> None:
    weights, budget = case
    found = strata(weights, budget, number)
    assert sum(count for _, count in found) == budget
    taken = certain(weights, budget)
    rest = (budget - taken.sum()) * weights / weights[~taken].sum()
    for group, count in found:
        expected = np.where(taken, 1, rest)[group].sum()
        assert 0 < count <= len(group)
        assert abs(count - expected) < 1 + 1e-6
        assert len(np.unique(weights[group])) == 1


def test_whole_numbers_of_slices_are_never_rounded() -> None:
    # all of nine and of three; 9 and the largest number below 1 are 10 in double precision
    weights = np.array([1.0] * 9 + [100.0] * 3)
    found = strata(weights, 12, float(np.nextafter(1, 0)))
    assert [(len(group), count) for group, count in found] == [(9, 9), (3, 3)]


def test_strata_are_right_on_average() -> None:
    weights = np.array([1.0] * 5 + [3.0] * 2)
    # of 11, the two have 6; of 2 slices, 12 / 11
    counts = [{len(g): n for g, n in strata(weights, 2, u)}.get(2, 0) for u in _numbers(1100)]
    assert np.mean(counts) == pytest.approx(12 / 11, abs=1e-3)


@given(weighted(), st.integers(0, 99))
def test_every_step_has_a_slice_of_its_own(case: tuple[np.ndarray, int], seed: int) -> None:
    weights, budget = case
    taken = certain(weights, budget)
    left, count = weights[~taken], budget - int(taken.sum())
    numbers = np.random.default_rng(seed).random(count)
    starts = (0.0, 0.5, float(numbers[0]) if count else 0.25, float(np.nextafter(1, 0)))
    every = [at_steps(left, count, start) for start in starts]
    for found in (*every, one_of_each_step(left, numbers)):
        assert len(found) == count
        assert (np.diff(found) > 0).all()
        assert set(found.tolist()) <= set(range(len(left)))


def test_steps_by_hand() -> None:
    weights = np.array([1.0, 1, 1, 3, 3, 1])
    # ends at 1, 2, 3, 6, 9, 10; middles of halves at 2.5 and 7.5, a fifth of them at 1 and 6
    assert at_steps(weights, 2, 0.5).tolist() == [2, 4]
    assert at_steps(weights, 2, 0.2).tolist() == [1, 4]
    # two slices are certain; of the four others the middles of halves
    assert spread(np.array([1.0, 1, 9, 1, 3, 1]), 4, 0.5).tolist() == [2, 4, 1, 5]
    # middles, and a half: 1, 2, 3, 5, 8, 10; of 0 to 3 and of 4 and 5 one each
    assert one_of_each_step(weights, np.array([0.49, 0.76])).tolist() == [2, 5]
    assert one_of_each_step(weights, np.array([0.51, 0.74])).tolist() == [3, 4]


def test_draws_are_in_proportion() -> None:
    found = [drawn(np.array([0.5, 1.5, 0.5]), number) for number in _numbers(500)]
    assert np.bincount(found).tolist() == [100, 300, 100]


def test_a_part_of_a_pool() -> None:
    pool = Pool(
        (2, 1, 3),
        np.array([0, 1, 0, 0, 0, 1], bool),
        np.ones(6),
        np.arange(12).reshape(6, 2),
        None,
        (np.array([0, 1]), np.array([2]), np.array([4, 5])),
    )
    part = pool.part(np.array([1, 3, 5]))
    assert part.num_slices == (1, 2)
    assert part.chosen.tolist() == [True, False, True]
    assert part.weights is None
    assert part.features is not None
    assert part.features[:, 0].tolist() == [2, 6, 10]
    assert part.objects is not None
    assert [object_.tolist() for object_ in part.objects] == [[0], [2]]


def _numbers(count: int) -> list[float]:
    """The middles of equal parts of [0, 1)."""
    return [(i + 0.5) / count for i in range(count)]
