"""The score of an experiment as a smooth function of density, volume fraction and selector.

A Gaussian process whose parameters are not fixed but averaged over, so that intervals are honest
with few cells: length scales and variance ratios are drawn from a prior, noise is on a grid, the
overall variance is integrated out (Student's t), and each combination counts by its marginal
likelihood. On simulated experiments with known truth 90 % intervals cover it in 90 % of the cases
(tests/report/test_score_surface.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

NUM_DRAWS = 4000
_NUM_KERNELS = 128
# medians: length scales of log rho and log s (a factor of 4.5), and the variance of what selectors
# add, everywhere and in places, as a share of that of the common surface
_MEDIANS = (1.5, 1.5, 0.05, 0.05)
_SPREADS = (0.7, 0.7, 1.0, 1.0)
_NOISE = np.exp(np.linspace(np.log(1e-4), 0, 16))
_CONSTANT = 10.0
# prior of the overall variance, inverse gamma
_SHAPE, _SCALE = 1.0, 0.02


@dataclass(frozen=True)
class Annotation:
    """How a base is annotated.

    Attributes
    ----------
    rho
        Density.
    s
        Volume fraction.
    selector
        Name of the selector.
    """

    rho: float
    s: float
    selector: str


class ScoreSurface:
    """Distribution of the expected score, given scores of trainings.

    Parameters
    ----------
    annotations
        Of each training.
    scores
        Of each training.

    Raises
    ------
    ValueError
        For fewer than three trainings, or lists of different lengths.
    """

    def __init__(self, annotations: Sequence[Annotation], scores: Sequence[float]) -> None:
        if len(scores) < 3 or len(annotations) != len(scores):
            raise ValueError("three scores are needed, and as many annotations as scores")
        self.selectors = sorted({a.selector for a in annotations})
        self.mean = float(np.mean(scores))
        self.deviation = float(np.std(scores)) or 1.0
        self.places = self._places(annotations)
        self.scores = (np.asarray(scores, float) - self.mean) / self.deviation

    def _places(self, annotations: Sequence[Annotation]) -> np.ndarray:
        """(n, 2 + selectors): log rho, log s, and one-hot selector (0 for an unknown one)."""
        return np.array(
            [
                [np.log(a.rho), np.log(a.s), *(float(a.selector == k) for k in self.selectors)]
                for a in annotations
            ]
        )

    def draws(
        self, annotations: Sequence[Annotation], seed: int = 0, num_draws: int = NUM_DRAWS
    ) -> np.ndarray:
        """Draw surfaces and look at them in some places.

        Returns
        -------
        np.ndarray, shape (num_draws, len(annotations))
            Expected scores, which a training's own noise does not enter.
        """
        queries = self._places(annotations)
        degrees = 2 * _SHAPE + len(self.scores)
        evidence, kernels = [], _kernels()
        for kernel in kernels:
            eigenvalues, vectors = _decomposed(self.places, kernel)
            projected = vectors.T @ self.scores
            for noise in _NOISE:
                diagonal = eigenvalues + noise
                scale = _SCALE + (projected**2 / diagonal).sum() / 2
                evidence.append(-0.5 * np.log(diagonal).sum() - degrees / 2 * np.log(scale))
        weights = np.exp(np.array(evidence) - max(evidence))
        rng = np.random.default_rng(seed)
        counts = rng.multinomial(num_draws, weights / weights.sum())
        found = []
        for number in np.flatnonzero(counts):
            kernel, noise = kernels[number // len(_NOISE)], _NOISE[number % len(_NOISE)]
            found.append(self._draw(queries, kernel, noise, int(counts[number]), degrees, rng))
        return self.mean + self.deviation * np.concatenate(found)

    def _draw(
        self,
        queries: np.ndarray,
        kernel: np.ndarray,
        noise: float,
        count: int,
        degrees: float,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Draws (count, queries) of a multivariate t distribution."""
        eigenvalues, vectors = _decomposed(self.places, kernel)
        diagonal = eigenvalues + noise
        projected = vectors.T @ self.scores
        cross = _covariance(queries, self.places, kernel) @ vectors
        mean = cross @ (projected / diagonal)
        covariance = _covariance(queries, queries, kernel) - (cross / diagonal) @ cross.T
        scale = (_SCALE + (projected**2 / diagonal).sum() / 2) / (degrees / 2)
        values, directions = np.linalg.eigh(covariance * scale)
        root = directions * np.sqrt(np.maximum(values, 0))
        normal = rng.standard_normal((count, len(queries))) @ root.T
        chi = rng.chisquare(degrees, (count, 1)) / degrees
        drawn: np.ndarray = mean + normal / np.sqrt(chi)
        return drawn


def _kernels() -> np.ndarray:
    """Parameters of covariances, evenly spread over their prior; the same in every call."""
    uniform = stats.qmc.Sobol(len(_MEDIANS), seed=0).random(_NUM_KERNELS)
    normal = stats.norm.ppf(np.clip(uniform, 1e-6, 1 - 1e-6))
    kernels: np.ndarray = np.exp(normal * np.array(_SPREADS) + np.log(_MEDIANS))
    return kernels


def _covariance(one: np.ndarray, other: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Covariance of the surface between places, in units of the common surface's variance."""
    length_rho, length_s, of_selector, of_place = kernel
    distance = ((one[:, None, 0] - other[None, :, 0]) / length_rho) ** 2
    distance = distance + ((one[:, None, 1] - other[None, :, 1]) / length_s) ** 2
    near = np.exp(-distance / 2)
    same = one[:, 2:] @ other[:, 2:].T
    covariance: np.ndarray = _CONSTANT + near + same * (of_selector + of_place * near)
    return covariance


def _decomposed(places: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    eigenvalues, vectors = np.linalg.eigh(_covariance(places, places, kernel))
    return np.maximum(eigenvalues, 0), vectors
