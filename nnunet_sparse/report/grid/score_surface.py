"""The score of an experiment as a smooth function of density, volume fraction and selector.

The expected score is a sum of Gaussian processes:

- **trends**: power laws ``(1 - exp(-c t)) / c`` of density, volume fraction and budget, with ``t``
  their logarithm; ``c`` > 0 saturates, 0 is a straight line in ``t``;
- **rest**: a smooth surface over the logarithms of density and volume fraction;
- **selectors**: what each adds everywhere, and in places.

A training's score has independent noise besides. How large each part is, how it bends and how far
it reaches is unknown: :class:`ScoreSurface` draws these parameters from their posterior, so that
intervals hold what repeats and cells tell of them, and no more. ``_PRIORS`` says what is assumed.
How often the intervals hold the truth of simulated experiments is measured in
``tests/report/grid/test_score_surface.py`` and ``tests/report/grid/test_advise.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.report.grid.posterior import draw_posterior

NUM_DRAWS = 4000
# Medians, and standard deviations of their logarithms. How large a part is, is given in standard
# deviations of the scores (of a trend: over half the range that was tried), lengths in half ranges.
_PRIORS = {
    "trend": (0.3, 1.2),
    "rest": (0.06, 1.4),
    "length": (1.5, 0.5),
    "selector": (0.15, 1.0),
    "selector_in_places": (0.06, 1.0),
    "noise": (0.2, 1.2),
}
# mean and standard deviation of the exponents c
_CURVATURE = (0.5, 0.5)
_LEVEL = 2.0
# of the logarithms, where less was tried
_LEAST_HALF_RANGE = 0.35
_NUM_PARAMETERS = 12
_JITTER = 1e-9
_HUGE = 1e300


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


@dataclass(frozen=True)
class _Parameters:
    """Parameters of n surfaces: exponents and standard deviations of trends (n, 3), others (n,)."""

    curvature: np.ndarray
    trend: np.ndarray
    rest: np.ndarray
    length: np.ndarray  # (n, 2): along log rho and log s
    selector: np.ndarray
    selector_in_places: np.ndarray
    noise: np.ndarray

    @classmethod
    def of_normal(cls, normal: np.ndarray) -> "_Parameters":
        """Parameters that have their prior if the numbers (n, 12) are standard normal."""

        def positive(name: str, columns: int | slice) -> np.ndarray:
            median, spread = _PRIORS[name]
            values: np.ndarray = median * np.exp(spread * normal[:, columns])
            return values

        mean, deviation = _CURVATURE
        return cls(
            mean + deviation * normal[:, 0:3],
            positive("trend", slice(3, 6)),
            positive("rest", 6),
            positive("length", slice(7, 9)),
            positive("selector", 9),
            positive("selector_in_places", 10),
            positive("noise", 11),
        )


@dataclass(frozen=True)
class _Places:
    """Places of n annotations; most differ in the selector alone.

    Attributes
    ----------
    points
        (m, 2): centred log rho and log s, each once.
    point
        (n,): row of ``points``.
    selector
        (n,): number of the selector.
    """

    points: np.ndarray
    point: np.ndarray
    selector: np.ndarray

    def __len__(self) -> int:
        return len(self.point)


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
        cells = sorted(set(annotations), key=lambda a: (a.rho, a.s, a.selector))
        logs = np.log([[a.rho, a.s] for a in cells])
        self.centre = (logs.max(axis=0) + logs.min(axis=0)) / 2
        self.half_range = np.maximum(np.ptp(logs, axis=0) / 2, _LEAST_HALF_RANGE)
        self.places = self._places(cells)
        self.mean = float(np.mean(scores))
        self.deviation = float(np.std(scores)) or 1.0
        values = (np.asarray(scores, float) - self.mean) / self.deviation
        number = {cell: i for i, cell in enumerate(cells)}
        of_cell = np.array([number[a] for a in annotations])
        self.repeats = np.bincount(of_cell)
        self.scores = np.bincount(of_cell, values) / self.repeats  # means of the cells
        self.squares = float(((values - self.scores[of_cell]) ** 2).sum())  # within cells

    def _places(self, annotations: Sequence[Annotation]) -> _Places:
        logs = np.log([[a.rho, a.s] for a in annotations]) - self.centre
        for unknown in {a.selector for a in annotations}.difference(self.selectors):
            raise ValueError(f"there is no score of selector {unknown}")
        points, point = np.unique(logs, axis=0, return_inverse=True)
        numbers = [self.selectors.index(a.selector) for a in annotations]
        return _Places(points, point, np.array(numbers))

    def draws(self, annotations: Sequence[Annotation], seed: int = 0) -> np.ndarray:
        """Draw surfaces and look at them in some places.

        Returns
        -------
        np.ndarray, shape (NUM_DRAWS, len(annotations))
            Expected scores, which a training's own noise does not enter.

        Raises
        ------
        ValueError
            For a selector without scores.
        """
        queries = self._places(annotations)
        rng = np.random.default_rng(seed)
        population = draw_posterior(self._log_likelihood, _NUM_PARAMETERS, rng)
        each = NUM_DRAWS // len(population)
        parameters = _Parameters.of_normal(population)
        # of all at once: of one, most of the time is spent in calls
        found = [
            self._draw(*of_one, each, rng)
            for of_one in zip(
                self._covariance_of_means(parameters),
                self._covariance(queries, self.places, parameters),
                self._covariance(queries, queries, parameters),
                strict=True,
            )
        ]
        return self.mean + self.deviation * np.concatenate(found)

    def _log_likelihood(self, normal: np.ndarray) -> np.ndarray:
        """Of all scores, up to a constant, for each row of parameters."""
        parameters = _Parameters.of_normal(normal)
        number = len(self.scores)
        bordered = np.empty((len(normal), number + 1, number + 1))
        bordered[:, :-1, :-1] = self._covariance_of_means(parameters)
        bordered[:, -1, :-1] = self.scores
        bordered[:, -1, -1] = _HUGE
        # its last row is what solving with the others would make of the scores
        root = np.linalg.cholesky(bordered)
        of_means = -np.log(np.diagonal(root, axis1=1, axis2=2)[:, :-1]).sum(axis=1)
        of_means -= (root[:, -1, :-1] ** 2).sum(axis=1) / 2
        within = (self.repeats.sum() - number) * np.log(parameters.noise)
        likelihood: np.ndarray = of_means - within - self.squares / parameters.noise**2 / 2
        return likelihood

    def _covariance_of_means(self, parameters: _Parameters) -> np.ndarray:
        covariance = self._covariance(self.places, self.places, parameters)
        diagonal = np.arange(len(self.places))
        noise = parameters.noise[:, None] ** 2 / self.repeats + _JITTER
        covariance[:, diagonal, diagonal] += noise
        return covariance

    def _covariance(self, one: _Places, other: _Places, parameters: _Parameters) -> np.ndarray:
        """(n, len(one), len(other)): covariances of the expected scores in places."""
        covariances = self._covariances(one.points, other.points, parameters)
        differ = one.selector[:, None] != other.selector
        found = differ * len(one.points) + one.point[:, None]
        found = found * len(other.points) + other.point
        of_all: np.ndarray = covariances.reshape(len(covariances), -1).take(found, axis=1)
        return of_all

    def _covariances(
        self, one: np.ndarray, other: np.ndarray, parameters: _Parameters
    ) -> np.ndarray:
        """(n, 2, len(one), len(other)): of one selector, and of two if there are several."""
        near = self._nearness(one, other, parameters.length)

        def variance(deviation: np.ndarray) -> np.ndarray:
            return deviation[:, None, None] ** 2

        common = _LEVEL**2 + variance(parameters.rest) * near
        of_one = common + variance(parameters.selector)
        of_one += near * variance(parameters.selector_in_places)
        several = [common] if len(self.selectors) > 1 else []
        covariances = np.stack([of_one, *several], axis=1)
        halves = (*self.half_range, self.half_range.sum())
        for k, half in enumerate(halves):
            deviation, exponent = parameters.trend[:, k] / half, parameters.curvature[:, k]
            left, right = (_power_law(_logarithm(points, k), exponent) for points in (one, other))
            trend = variance(deviation) * left[:, :, None] * right[:, None, :]
            covariances += trend[:, None]
        return covariances

    def _nearness(self, one: np.ndarray, other: np.ndarray, length: np.ndarray) -> np.ndarray:
        """1 for equal places, 0 for those that have nothing to do with each other."""
        squares = ((one[:, None] - other[None]) / self.half_range) ** 2
        weights = 0.5 / length**2
        near: np.ndarray = np.exp(
            -weights[:, 0, None, None] * squares[..., 0]
            - weights[:, 1, None, None] * squares[..., 1]
        )
        return near

    def _draw(
        self,
        of_means: np.ndarray,
        cross: np.ndarray,
        of_queries: np.ndarray,
        count: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Draws (count, queries) of surfaces with these covariances."""
        solved = np.linalg.solve(of_means, np.column_stack([self.scores, cross.T]))
        mean = cross @ solved[:, 0]
        covariance = of_queries - cross @ solved[:, 1:]
        values, directions = np.linalg.eigh(covariance)
        root = directions * np.sqrt(np.maximum(values, 0))
        drawn: np.ndarray = mean + rng.standard_normal((count, of_queries.shape[0])) @ root.T
        return drawn


def _logarithm(points: np.ndarray, k: int) -> np.ndarray:
    """Centred logarithm of density, volume fraction or budget."""
    return points[:, k] if k < 2 else points[:, 0] + points[:, 1]


def _power_law(logarithm: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """(n, points): ``(1 - exp(-c t)) / c``, which is t for c = 0."""
    nonzero = np.where(np.abs(exponents) < 1e-4, 1e-4, exponents)[:, None]
    curve: np.ndarray = -np.expm1(-nonzero * logarithm) / nonzero
    return curve
