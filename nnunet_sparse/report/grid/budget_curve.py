"""The area under a curve of scores over budgets."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd


def area_under_budget_curve(budgets: Iterable[float], scores: Iterable[float]) -> float | None:
    """Mean score over the logarithm of the budget, by the trapezoidal rule.

    Parameters
    ----------
    budgets
        Annotated slices, or hours.
    scores
        Scores at these budgets; several at one budget are averaged.

    Returns
    -------
    float or None
        None for fewer than two budgets.
    """
    means = pd.Series(list(scores), list(budgets), dtype=float).groupby(level=0).mean()
    if len(means) < 2:
        return None
    x = np.log(means.index.to_numpy())
    return float(trapezoid_weights(x) @ means.to_numpy())


def trapezoid_weights(budgets: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weights whose products with scores sum up to the mean score over the budget.

    The area under the line that joins the scores, by the trapezoidal rule, divided by the range of
    the budgets.

    Parameters
    ----------
    budgets
        (n,) ascending, at least two different ones.

    Returns
    -------
    np.ndarray, shape (n,)
        They sum up to 1.
    """
    steps = np.diff(np.asarray(budgets, float))
    weights: np.ndarray = (np.append(steps, 0) + np.append(0, steps)) / (2 * steps.sum())
    return weights
