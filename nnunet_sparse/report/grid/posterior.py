"""Draws from the posterior of a few parameters."""

from collections.abc import Callable

import numpy as np

_POPULATION = 100
_TEMPERATURES = np.geomspace(0.005, 1, 9)
_STEPS, _LAST_STEPS = 2, 6


def draw_posterior(
    log_likelihood: Callable[[np.ndarray], np.ndarray],
    num_parameters: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw from a standard normal prior times a likelihood.

    A population goes from the prior to the posterior through rising powers of the likelihood, by
    resampling and slice steps: a sequential Monte Carlo sampler (Del Moral, Doucet and Jasra 2006).

    Parameters
    ----------
    log_likelihood
        Of points (n, num_parameters), up to a constant; (n,).
    num_parameters
        How many numbers are a point.
    rng
        Source of randomness.

    Returns
    -------
    np.ndarray, shape (2 * 100, num_parameters)
        Two generations of the population.
    """
    points = rng.standard_normal((_POPULATION, num_parameters))
    values = log_likelihood(points)
    power = 0.0
    for temperature in _TEMPERATURES:
        weights = np.exp((temperature - power) * (values - values.max()))
        ends = np.cumsum(weights / weights.sum())
        chosen = np.searchsorted(ends, (np.arange(_POPULATION) + rng.random()) / _POPULATION)
        chosen = np.minimum(chosen, _POPULATION - 1)
        points, values, power = points[chosen], values[chosen], temperature
        for _ in range(_STEPS):
            points, values = _slice_step(points, values, log_likelihood, power, rng)
    first = points
    for _ in range(_LAST_STEPS):
        points, values = _slice_step(points, values, log_likelihood, power, rng)
    return np.concatenate([first, points])


def _slice_step(
    points: np.ndarray,
    values: np.ndarray,
    log_likelihood: Callable[[np.ndarray], np.ndarray],
    power: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Move every point, with its log likelihood (Murray, Adams and MacKay 2010, fig. 2)."""
    moved, found = points.copy(), values.copy()
    others = rng.standard_normal(points.shape)
    least = power * values + np.log(rng.random(len(points)))
    angles = rng.uniform(0, 2 * np.pi, len(points))
    low, high = angles - 2 * np.pi, angles.copy()
    left = np.arange(len(points))
    while len(left):
        angle = angles[left, None]
        tried = points[left] * np.cos(angle) + others[left] * np.sin(angle)
        new = log_likelihood(tried)
        good = power * new > least[left]
        moved[left[good]], found[left[good]] = tried[good], new[good]
        left = left[~good]
        negative = angles[left] < 0
        low[left[negative]] = angles[left[negative]]
        high[left[~negative]] = angles[left[~negative]]
        angles[left] = rng.uniform(low[left], high[left])
    return moved, found
