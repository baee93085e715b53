import numpy as np
import pytest

from nnunet_sparse.report.grid.posterior import draw_posterior


def test_the_sampler_finds_a_posterior_worked_by_hand() -> None:
    """Prior standard normal, observed 2 with variance 0.25: mean 1.6, variance 0.2."""

    def log_likelihood(points: np.ndarray) -> np.ndarray:
        of_points: np.ndarray = -((points[:, 0] - 2) ** 2) / 0.25 / 2
        return of_points

    runs = [draw_posterior(log_likelihood, 12, np.random.default_rng(seed)) for seed in range(20)]
    points = np.concatenate(runs)
    assert points[:, 0].mean() == pytest.approx(1.6, abs=0.05)
    assert points[:, 0].var() == pytest.approx(0.2, abs=0.03)
    np.testing.assert_allclose(points[:, 1:].mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(points[:, 1:].var(axis=0), 1, atol=0.15)
