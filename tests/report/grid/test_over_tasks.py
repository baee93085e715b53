import numpy as np
import pytest

from nnunet_sparse.report.grid.over_tasks import over_tasks
from nnunet_sparse.report.grid.paired_statistics import Difference


def of(mean: float, num_cells: int = 1, wins: float = 1.0) -> Difference:
    return Difference(mean, mean - 0.01, mean + 0.01, 2 * num_cells, num_cells, wins, 2)


def test_each_task_is_one_observation() -> None:
    found = over_tasks([[of(0.01, 9)], [of(0.02)], [of(0.05, 1, 0.0), of(0.01)], []])
    assert found is not None
    # of 0.01, 0.02 and 0.03: standard error 0.01 / sqrt(3), and 4.303 is t with 2 degrees
    assert found.mean == pytest.approx(0.02)
    assert found.high - found.mean == pytest.approx(4.303 * 0.01 / np.sqrt(3), rel=1e-3)
    assert (found.num_pairs, found.num_cells, found.num_runs) == (24, 12, 3)
    assert found.wins == pytest.approx(11 / 12)
    assert found.verdict == "undecided"


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((0.05, 0.06, 0.05, 0.06), "supported"),
        ((-0.05, -0.06, -0.05), "not supported"),
        ((0.05, -0.06), "undecided"),
    ],
)
def test_verdicts(means: tuple[float, ...], verdict: str) -> None:
    found = over_tasks([[of(mean)] for mean in means])
    assert found is not None
    assert found.verdict == verdict


def test_one_task_says_nothing_of_others() -> None:
    assert over_tasks([[of(0.1), of(0.2)]]) is None
    assert over_tasks([]) is None


def test_interval_holds_possible_differences() -> None:
    found = over_tasks([[of(0.9)], [of(-0.9)]])
    assert found is not None
    assert (found.low, found.high) == (-1, 1)


def test_intervals_cover_the_truth_of_tasks_that_differ() -> None:
    """Tasks differ by 0.03, and each is measured with noise of 0.02."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        found = over_tasks([[of(float(x))] for x in rng.normal(0.01, np.hypot(0.03, 0.02), 5)])
        assert found is not None
        covered += found.low <= 0.01 <= found.high
    assert 362 <= covered <= 397  # 380 expected, standard deviation 4.4
