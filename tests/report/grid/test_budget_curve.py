import pytest

from nnunet_sparse.report.grid.budget_curve import area_under_budget_curve, trapezoid_weights


def test_area_worked_by_hand() -> None:
    # halves of equal length on the logarithmic axis
    assert area_under_budget_curve([1, 10, 100], [0.0, 0.5, 0.5]) == pytest.approx(0.375)
    assert area_under_budget_curve([10, 1, 1], [0.5, 0.2, 0.4]) == pytest.approx(0.4)
    assert area_under_budget_curve([10, 10], [0.5, 0.2]) is None


def test_weights_of_the_trapezoidal_rule_worked_by_hand() -> None:
    # (10 * 0.5 + 20 * 0.9) / 30 between means of neighbours
    scores = [0.4, 0.6, 1.2]
    weights = trapezoid_weights([10, 20, 40])
    assert weights == pytest.approx([1 / 6, 1 / 2, 1 / 3])
    assert weights @ scores == pytest.approx((10 * 0.5 + 20 * 0.9) / 30)
