import numpy as np
import pytest
from round_results import only_lines, runs
from scipy import stats

from nnunet_sparse.report.grid.round_penalties import is_better, penalty_matrix


@pytest.mark.parametrize("seed", range(20))
def test_is_better_is_scipys_test(seed: int) -> None:
    gains = np.random.default_rng(seed).normal(0.02, 0.02, size=2 + seed % 4)
    found = stats.ttest_1samp(gains, 0.0)
    assert is_better(gains) == (found.pvalue < 0.05 and gains.mean() > 0)


def test_equal_gains() -> None:
    assert is_better(np.array([0.1, 0.1]))
    assert not is_better(np.array([0.0, 0.0]))
    assert not is_better(np.array([-0.1, -0.1]))


def test_shares_of_rounds_worked_by_hand() -> None:
    noise = [0.0, 0.01, -0.01]
    scores = {
        "random": lambda _, k: 0.4 + noise[k],
        # better after the second round alone, worse after no round
        "entropy": lambda n, k: (0.5 if n == 2 else 0.4) + noise[k],
        # better than both after all rounds but the first, which does not count
        "clasp_pe": lambda _, k: 0.7 + noise[k],
    }
    assert penalty_matrix([only_lines(runs(scores))]) == {
        ("random", "entropy"): 0.0,
        ("entropy", "random"): 0.5,
        ("random", "clasp_pe"): 0.0,
        ("entropy", "clasp_pe"): 0.0,
        ("clasp_pe", "random"): 1.0,
        ("clasp_pe", "entropy"): 1.0,
    }


def test_one_run_tells_nothing() -> None:
    scores = {"random": lambda *_: 0.4, "entropy": lambda *_: 0.5}
    assert penalty_matrix([only_lines(runs(scores, repeats=1))]) == {}
