import numpy as np
import pytest
from grid_results import result
from round_results import runs

from nnunet_sparse.report.grid.foreground_efficiency import fitted_rate, foreground_efficiency
from nnunet_sparse.report.grid.panels import panels
from nnunet_sparse.report.grid.round_lines import round_lines


@pytest.mark.parametrize("rate", [-1.5, 0.2, 3.0, 40.0, 900.0])
def test_the_rate_of_an_exponential_is_found(rate: float) -> None:
    share = np.array([0, 1, 2, 3, 3]) / abs(rate)
    assert fitted_rate(share, np.exp(-rate * share)) == pytest.approx(rate, rel=1e-4)


def test_nothing_annotated_in_addition() -> None:
    assert fitted_rate(np.zeros(3), np.ones(3)) is None


def test_efficiency_worked_by_hand() -> None:
    # dense 0.8, start 0.3: half of the gap is left after 200 slices, a quarter after 300
    scores = {"random": lambda n, _: 0.8 - 0.5 * 0.5 ** (n - 1), "entropy": lambda *_: 0.3}
    dense = result(0.8, rho=1.0, selector="fixed", kind="dense")
    results = runs(scores, repeats=2)
    (lines,) = round_lines(panels([*results, dense]))
    shares = {r.dataset: 0.1 * r.num_slices / 100 for r in results}
    found = foreground_efficiency(lines, shares)
    # exp(-gamma 0.1) is one half
    assert found["random"] == pytest.approx(np.log(2) / 0.1, rel=1e-3)
    assert found["entropy"] == pytest.approx(0, abs=1e-3)
    (without,) = round_lines(panels(results))
    assert set(foreground_efficiency(without, shares).values()) == {None}
    assert set(foreground_efficiency(lines, {}).values()) == {None}
