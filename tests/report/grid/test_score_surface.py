import numpy as np
import pytest
from scipy import stats

from nnunet_sparse.report.grid.score_surface import (
    Annotation,
    ScoreSurface,
    _Parameters,
)

RHO, S, SELECTORS = (0.1, 0.2, 0.4), (0.25, 0.5, 1.0), ("a", "b", "c")


def test_a_surface_that_is_known_is_found() -> None:
    cells = [Annotation(rho, s, k) for rho in RHO for s in S for k in SELECTORS for _ in range(3)]
    better = {"a": 0.02, "b": 0.0, "c": -0.02}
    rng = np.random.default_rng(1)
    scores = [
        0.6 + 0.05 * np.log(a.rho) + 0.03 * np.log(a.s) + better[a.selector] + rng.normal(0, 0.003)
        for a in cells
    ]
    places = [Annotation(0.3, 0.7, k) for k in SELECTORS]
    draws = ScoreSurface(cells, scores).draws(places)
    expected = [0.6 + 0.05 * np.log(0.3) + 0.03 * np.log(0.7) + better[k] for k in SELECTORS]
    np.testing.assert_allclose(draws.mean(axis=0), expected, atol=0.004)
    assert np.all(draws.std(axis=0) < 0.005)
    # draws are of whole surfaces: differences are known better than sums
    assert (draws[:, 0] - draws[:, 1]).std() < 0.003


def test_far_from_the_data_nothing_is_known() -> None:
    cells = [Annotation(rho, 1.0, "a") for rho in (0.1, 0.2, 0.4)]
    surface = ScoreSurface(cells, [0.5, 0.55, 0.6])
    near, far = surface.draws([Annotation(0.2, 1.0, "a"), Annotation(0.2, 0.001, "a")]).std(axis=0)
    assert far > 3 * near


def test_more_repeats_make_intervals_shorter() -> None:
    cells = [Annotation(rho, 1.0, "a") for rho in (0.1, 0.2, 0.4)]
    rng = np.random.default_rng(0)
    few, many = (
        ScoreSurface(cells * repeats, [a.rho + rng.normal(0, 0.02) for a in cells * repeats]).draws(
            cells
        )
        for repeats in (3, 48)
    )
    # a quarter, as the root of the number of repeats
    np.testing.assert_allclose(many.std(axis=0) / few.std(axis=0), 0.25, atol=0.1)


def test_equal_seeds_give_equal_draws() -> None:
    cells = [Annotation(rho, 1.0, "a") for rho in (0.1, 0.2, 0.4)]
    surface = ScoreSurface(cells, [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(surface.draws(cells), surface.draws(cells))


def test_what_cannot_be_fitted_is_refused() -> None:
    cells = [Annotation(rho, 1.0, "a") for rho in (0.1, 0.2, 0.4)]
    with pytest.raises(ValueError, match="three scores"):
        ScoreSurface(cells[:2], [0.5, 0.6])
    with pytest.raises(ValueError, match="no score of selector b"):
        ScoreSurface(cells, [0.5, 0.6, 0.7]).draws([Annotation(0.1, 1.0, "b")])


def test_means_of_cells_and_squares_within_them_say_all() -> None:
    """The likelihood is that of all scores, up to a constant."""
    cells = [Annotation(rho, s, k) for rho in (0.1, 0.4) for s in (0.5, 1.0) for k in "ab"]
    of_cell = np.array([*range(8), 1, 1, 4, 7])
    scores = np.random.default_rng(0).normal(0.5, 0.1, len(of_cell))
    surface = ScoreSurface([cells[i] for i in of_cell], scores)
    normal = np.random.default_rng(1).standard_normal((4, 12))
    parameters = _Parameters.of_normal(normal)
    places = surface._places([cells[i] for i in of_cell])
    covariances = surface._covariance(places, places, parameters)
    standardised = (scores - scores.mean()) / scores.std()
    expected = [
        stats.multivariate_normal.logpdf(
            standardised, cov=covariance + noise**2 * np.eye(len(scores))
        )
        for covariance, noise in zip(covariances, parameters.noise, strict=True)
    ]
    difference = surface._log_likelihood(normal) - expected
    np.testing.assert_allclose(difference, difference[0], rtol=1e-4)
