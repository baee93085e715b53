"""Turns of the classes, and the growth of beta."""

from collections import Counter

import numpy as np
import pytest

from nnunet_sparse.selectors import ClassStratifiedSelector, Pool, SeenByNetwork
from nnunet_sparse.system.randomness import generator


def pool_of(predicted: np.ndarray, chosen: tuple[int, ...] = (), round_number: int = 4) -> Pool:
    """Slices of equal entropy, far apart, on which some classes are predicted."""
    size = len(predicted)
    seen = SeenByNetwork(
        np.ones(size),
        np.zeros(size),
        predicted / 10,
        predicted,
        100.0 * np.arange(size),
        round_number=round_number,
    )
    given = np.zeros(size, bool)
    given[list(chosen)] = True
    return Pool((size,), given, network=seen)


def rare_class(size: int = 60, slices: tuple[int, ...] = (5, 6)) -> np.ndarray:
    """Class 1 on 20 slices, class 2 on few, background everywhere."""
    predicted = np.zeros((size, 3))
    predicted[:, 0] = 9
    predicted[20:40, 1] = 4
    predicted[list(slices), 2] = 2
    return predicted


def select(pool: Pool, budget: int, seed: int = 0, **parameters: float) -> list[int]:
    return ClassStratifiedSelector(**parameters).select(pool, budget, generator(seed)).tolist()  # type: ignore[arg-type]


def test_two_thirds_go_to_the_classes_in_turn() -> None:
    for seed in range(20):
        chosen = select(pool_of(rare_class()), 6, seed)
        # 4 of 6 are drawn for a class: 2 for each
        assert {5, 6} <= set(chosen)
        assert sum(20 <= i < 40 for i in chosen) >= 2


def test_no_class_has_a_turn_with_share_0() -> None:
    counts = Counter(
        i for seed in range(300) for i in select(pool_of(rare_class()), 6, seed, share=0)
    )
    # 300 * 6 / 60 = 30 each, standard deviation 5
    assert max(abs(counts[i] - 30) for i in range(60)) < 25


def test_the_turn_of_a_class_that_is_predicted_nowhere_is_random() -> None:
    pool = pool_of(rare_class(slices=()))
    drawn = [select(pool, 2, seed, share=1.0) for seed in range(200)]
    inside = [sum(20 <= i < 40 for i in chosen) for chosen in drawn]
    assert min(inside) == 1  # the turn of class 1
    # that of class 2 is anywhere, on class 1 in 19 of 59 cases: standard deviation 0.033
    assert np.mean(np.array(inside) == 2) == pytest.approx(19 / 59, abs=0.14)


def test_a_network_that_predicts_one_class_only_gets_random_slices() -> None:
    predicted = np.zeros((30, 3))
    predicted[:, 0] = 9
    pool = pool_of(predicted)
    counts = Counter(i for seed in range(300) for i in select(pool, 3, seed, share=1.0))
    assert set(counts) == set(range(30))


def test_annotated_slices_of_a_class_have_had_their_turn() -> None:
    pool = pool_of(rare_class(), chosen=(5, 6))
    chosen = [select(pool, 2, seed, share=1.0) for seed in range(50)]
    assert not {5, 6} & {i for one in chosen for i in one}


def test_the_most_uncertain_of_a_class_at_last() -> None:
    predicted = rare_class()
    predicted[33, 1] = 400
    assert all(33 in select(pool_of(predicted), 3, seed, share=1.0) for seed in range(20))


@pytest.mark.parametrize(
    ("round_number", "beta"),
    [(0, 1), (1, 1), (2, 100 ** (1 / 3)), (3, 100 ** (2 / 3)), (4, 100), (9, 100)],
)
def test_beta_grows_exponentially_from_1_to_100(round_number: int, beta: float) -> None:
    assert ClassStratifiedSelector().beta(round_number) == pytest.approx(beta)


def test_beta_of_a_single_round() -> None:
    assert ClassStratifiedSelector(rounds=1).beta(1) == 1
    assert ClassStratifiedSelector(rounds=1).beta(3) == 1


def test_no_class_but_background() -> None:
    pool = pool_of(np.ones((9, 1)))
    assert len(select(pool, 4)) == 4
