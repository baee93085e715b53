import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from grid_results import result

from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.paired_statistics import (
    difference,
    interpolated_against_sparse,
    mean_iou,
    more_volumes,
    pooled_iou,
    selector_against,
)
from nnunet_sparse.report.grid.panels import panels


def scored(*results: Result) -> pd.DataFrame:
    """Trainings of one panel."""
    (panel,) = panels(results)
    return panel.trainings


def both_of(pairs: pd.DataFrame) -> list[tuple[Result, Result]]:
    return list(zip(pairs["result_first"], pairs["result_second"], strict=True))


def paired(*both: tuple[Result, Result]) -> pd.DataFrame:
    """Pairs of trainings, whatever their factors."""
    first, second = (
        pd.DataFrame([vars(one) | {"seed": one.variant.seed} for one in side])
        for side in zip(*both, strict=True)
    )
    common = ["task", "configuration", "trainer", "plans", "label", "repeat", "seed"]
    sides = [first.add_suffix("_first"), second.add_suffix("_second")]
    return pd.concat([first[common], *sides], axis=1)


def test_pooled_iou_worked_by_hand() -> None:
    counts = np.array([[3, 1, 0], [1, 2, 1], [0, 0, 0]])
    assert pooled_iou(counts) == 4 / 8
    assert np.isnan(pooled_iou(np.zeros((2, 3), int)))
    two_labels = np.stack([counts, np.array([[1, 0, 0]] * 3)])
    assert pooled_iou(two_labels).tolist() == [0.5, 1.0]
    assert mean_iou(two_labels) == 0.75


def test_more_volumes_pairs_equal_budgets() -> None:
    many = result(rho=0.1, s=1.0, num_slices=200)
    few = result(rho=0.4, s=0.25, num_slices=210)
    other = result(rho=0.8, s=0.25, num_slices=400)
    selector = result(rho=0.4, s=0.25, num_slices=210, selector="random")
    repeat = result(rho=0.4, s=0.25, num_slices=210, repeat=1)
    dense = result(rho=1.0, s=1.0, num_slices=200, kind="dense")
    pairs = more_volumes(scored(few, other, selector, repeat, dense, many))
    assert both_of(pairs) == [(many, few)]


def test_an_unknown_number_of_slices_has_no_equal() -> None:
    unknown = [result(rho=rho, s=s, num_slices=0) for rho, s in ((0.1, 1.0), (0.4, 0.25))]
    assert more_volumes(scored(*unknown)).empty


def test_other_test_cases_are_not_compared(caplog: pytest.LogCaptureFixture) -> None:
    def of_cases(*truth: int, **changes: Any) -> Result:
        return result(counts=np.array([[1, 0, size - 1] for size in truth]), **changes)

    one = of_cases(10, 20)
    same = scored(one, of_cases(10, 20, selector="ual"))
    assert len(selector_against(same, "ual", "fixed")) == 1
    assert caplog.text == ""
    for truth in ((10, 20, 30), (10, 21), (20, 10)):
        other = of_cases(*truth, selector="ual")
        assert selector_against(scored(one, other), "ual", "fixed").empty
        assert "1 pairs of trainings are not compared" in caplog.text
        caplog.clear()
    many = of_cases(10, 21, rho=0.1)
    caplog.clear()
    assert more_volumes(scored(many, of_cases(10, 20, rho=0.4, s=0.25))).empty
    assert "1 pairs of trainings are not compared" in caplog.text


def test_selectors_are_compared_in_the_same_cell() -> None:
    ual = [result(selector="ual", rho=rho) for rho in (0.1, 0.2)]
    random = [result(selector="random", rho=rho, repeat=r) for rho in (0.2, 0.4) for r in (0, 1)]
    pairs = selector_against(scored(*ual, *random), "ual", "random")
    assert both_of(pairs) == [(ual[1], random[0])]


def test_interpolation_is_compared_with_the_same_slices() -> None:
    weighted = {"selector": "random", "positive_weight": 3.0}
    filled = result(interpolation="shape", kind="interpolated", **weighted)
    partner = result(kind="partner", **weighted)
    pairs = interpolated_against_sparse(scored(result(selector="random"), partner, filled))
    assert both_of(pairs) == [(filled, partner)]


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.1, "supported"), (-0.1, "not supported"), (0.0, "undecided")]
)
def test_verdicts(gain: float, verdict: str) -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for repeat in range(3):
        noise = rng.integers(-60, 60, (2, 10))
        first = [[500 + int(1000 * gain) + n, 500 - int(1000 * gain) - n, 0] for n in noise[0]]
        second = [[500 + n, 500 - n, 0] for n in noise[1]]
        pairs.append(
            (
                result(counts=np.array(first), selector="ual", repeat=repeat),
                result(counts=np.array(second), repeat=repeat),
            )
        )
    found = difference(paired(*pairs))
    assert found is not None
    assert found.mean == pytest.approx(gain, abs=0.03)
    assert found.low < found.mean < found.high
    assert (found.num_pairs, found.num_cells) == (3, 1)
    assert found.verdict == verdict
    assert difference(paired(*pairs)) == found


def test_interval_holds_possible_differences() -> None:
    """Two cases that differ much: an unbounded interval would reach beyond 1."""
    first = result(counts=np.array([[990, 10, 0], [10, 0, 90]]), selector="ual")
    found = difference(paired((first, result(counts=np.array([[0, 0, 990], [100, 0, 0]])))))
    assert found is not None
    assert (found.low, found.high) == (-1, 1)


def test_interval_has_the_width_of_the_cases_spread() -> None:
    """One repeat, a second side that is fixed: the standard error of a mean over cases."""
    rng = np.random.default_rng(1)
    ious = rng.normal(0.5, 0.05, 400)
    counts = np.stack([1000 * ious, 1000 * (1 - ious), 0 * ious], axis=1).round().astype(int)
    pair = (result(counts=counts, selector="ual"), result(counts=counts * 0 + [500, 500, 0]))
    found = difference(paired(pair), num_draws=4000)
    assert found is not None
    expected = 2 * 1.96 * counts[:, 0].std() / 1000 / math.sqrt(400)
    assert found.high - found.low == pytest.approx(expected, rel=0.05)


def test_intervals_cover_the_truth() -> None:
    """Over many experiments with known truth, about 95 % of the intervals hold it."""
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        counts = []
        for _side in range(2):
            ious = np.clip(rng.normal(0.5, 0.1, 60), 0.01, 0.99)
            counts.append(np.stack([1000 * ious, 1000 * (1 - ious), 0 * ious], axis=1).astype(int))
        pair = (result(counts=counts[0], selector="ual"), result(counts=counts[1]))
        found = difference(paired(pair), num_draws=400)
        assert found is not None
        covered += found.low <= 0 <= found.high
    assert 180 <= covered <= 198


@pytest.mark.parametrize("num_repeats", [2, 3])
def test_intervals_cover_the_truth_where_repeats_differ(num_repeats: int) -> None:
    """Noise of the repeats alone: the draws of test cases know nothing of it."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        pairs = []
        for repeat in range(num_repeats):
            first, second = (result(float(x), repeat=repeat) for x in rng.normal(0.5, 0.02, 2))
            pairs.append((first, second))
        found = difference(paired(*pairs), num_draws=100)
        assert found is not None
        covered += found.low <= 0 <= found.high
    assert 180 <= covered <= 199


def crossed(
    rng: np.random.Generator, shape: tuple[int, int], of_seed: float, of_run: float
) -> pd.DataFrame:
    """Pairs without any difference but the noise of seeds and of runs."""
    seeds = rng.normal(0, of_seed, shape[0])
    pairs = [
        (
            result(0.5 + seeds[seed] + float(rng.normal(0, of_run)), size=10**6, **run),
            result(0.5, size=10**6, selector="ual", **run),
        )
        for seed in range(shape[0])
        for repeat in range(shape[1])
        for run in [{"seed": seed, "repeat": repeat}]
    ]
    return paired(*pairs)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3, 3)])
@pytest.mark.parametrize(("of_seed", "of_run"), [(0.02, 0.005), (0.02, 0.02), (0.0, 0.02)])
def test_intervals_cover_the_truth_where_seeds_differ(
    shape: tuple[int, int], of_seed: float, of_run: float
) -> None:
    """Runs of one seed have its noise in common: taken as independent, they would not do."""
    rng = np.random.default_rng(4)
    found = [difference(crossed(rng, shape, of_seed, of_run), num_draws=2) for _ in range(200)]
    covered = sum(one.low <= 0 <= one.high for one in found if one is not None)
    assert covered >= 178


def test_seeds_are_no_cells() -> None:
    found = difference(crossed(np.random.default_rng(0), (3, 2), 0.1, 0.1))
    assert found is not None
    assert (found.num_pairs, found.num_cells, found.num_runs) == (6, 1, 6)


def test_several_seeds_with_one_repeat_give_a_verdict() -> None:
    pairs = [
        (result(0.9, selector="ual", seed=seed), result(0.1 + seed / 100, seed=seed))
        for seed in range(3)
    ]
    found = difference(paired(*pairs))
    assert found is not None
    assert found.low < 0.79 < found.high
    assert found.verdict == "supported"


def test_one_repeat_gives_no_verdict() -> None:
    found = difference(paired((result(0.9, selector="ual"), result(0.1))))
    assert found is not None
    assert found.low > 0
    assert found.verdict == "undecided"


def test_undefined_pairs_are_left_out() -> None:
    empty = result(counts=np.zeros((10, 3), int), selector="ual")
    undefined = paired((empty, result()))
    assert difference(undefined[:0]) is None
    assert difference(undefined) is None
