from collections.abc import Callable

import numpy as np
import pytest

from nnunet_sparse.report.score_surface import Annotation, ScoreSurface

RHO, S, SELECTORS = (0.05, 0.1, 0.2, 0.4, 0.8), (0.125, 0.25, 0.5, 1.0), ("a", "b", "c")


def truth(rng: np.random.Generator) -> Callable[[Annotation], float]:
    """A surface of one of three forms, none of which is the model's."""
    kind = rng.integers(3)
    top, of_rho, of_s = rng.uniform(0.4, 0.9), rng.uniform(0.05, 0.35), rng.uniform(0.05, 0.35)
    r0, s0 = rng.uniform(0.05, 0.4), rng.uniform(0.1, 0.6)
    c, e = rng.uniform(0.3, 1.0, 2)
    mixed = rng.uniform(-0.03, 0.03)
    offsets = dict(zip(SELECTORS, rng.normal(0, 0.01, 3), strict=True))
    slopes = dict(zip(SELECTORS, rng.normal(0, 0.01, 3), strict=True))

    def score(a: Annotation) -> float:
        if kind == 0:
            base = 1 - of_rho * np.exp(-a.rho / r0) - of_s * np.exp(-a.s / s0)
        elif kind == 1:
            base = 1 - of_rho * (0.05 / a.rho) ** c - of_s * (0.125 / a.s) ** e
        else:
            base = 1 - (of_rho + of_s) * (a.rho * a.s / 0.00625) ** (-c / 2)
        x, y = np.log(a.rho / 0.2), np.log(a.s / 0.5)
        return float(
            top * base + offsets[a.selector] + slopes[a.selector] * x / 2 + mixed * x * y / 3
        )

    return score


def simulated(rng: np.random.Generator) -> tuple[list[Annotation], list[Annotation], np.ndarray]:
    """Trainings of a grid, other places in its range, whether intervals hold the truth there."""
    score, noise = truth(rng), rng.uniform(0.005, 0.02)
    rhos = np.sort(rng.choice(RHO, rng.integers(3, 6), replace=False))
    fractions = np.sort(rng.choice(S, rng.integers(3, 5), replace=False))
    repeats = rng.integers(1, 4)
    cells = [
        Annotation(float(rho), float(s), selector)
        for rho in rhos
        for s in fractions
        for selector in SELECTORS
        for _ in range(repeats)
    ]
    scores = [score(a) + rng.normal(0, noise) for a in cells]
    places = [
        Annotation(
            float(np.exp(rng.uniform(*np.log(rhos[[0, -1]])))),
            float(np.exp(rng.uniform(*np.log(fractions[[0, -1]])))),
            str(rng.choice(SELECTORS)),
        )
        for _ in range(20)
    ]
    draws = ScoreSurface(cells, scores).draws(places, num_draws=2000)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    expected = np.array([score(a) for a in places])
    return cells, places, (low <= expected) & (expected <= high)


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    """90 % intervals on simulated experiments with known truth."""
    rng = np.random.default_rng(0)
    covered = np.mean([simulated(rng)[2].mean() for _ in range(60)])
    assert 0.85 <= covered <= 0.95


def test_a_surface_that_is_known_is_found() -> None:
    cells = [Annotation(rho, s, k) for rho in RHO for s in S for k in SELECTORS for _ in range(2)]
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


def test_equal_seeds_give_equal_draws() -> None:
    cells = [Annotation(rho, 1.0, "a") for rho in (0.1, 0.2, 0.4)]
    surface = ScoreSurface(cells, [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(surface.draws(cells), surface.draws(cells))
    with pytest.raises(ValueError, match="three scores"):
        ScoreSurface(cells[:2], [0.5, 0.6])
