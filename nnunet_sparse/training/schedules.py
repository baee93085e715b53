"""Learning rate as a function of the iteration."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SCHEDULES = {
    "constant": "constant",
    "poly": "poly {power:g}",
    "step": "times {factor:g} every {period}",
    "cosine": "cosine to 0",
}
"""In words for tables, with options of recipes in braces."""


def learning_rate(
    schedule: str,
    iteration: int,
    *,
    initial_lr: float,
    iterations: int,
    power: float,
    factor: float,
    period: int,
) -> float:
    """Learning rate of one iteration.

    Parameters
    ----------
    schedule
        ``constant``; ``poly``: ``initial_lr * (1 - iteration / iterations) ** power``; ``step``:
        ``initial_lr * factor ** (iteration // period)``; ``cosine``: half a period from
        ``initial_lr`` to 0, ``initial_lr / 2 * (1 + cos(pi * iteration / iterations))``
        (Loshchilov and Hutter 2017, eq. 5, without restarts).
    iteration
        Number of the iteration, from 0.
    initial_lr
        Learning rate of iteration 0.
    iterations
        Length of the training.
    power, factor, period
        Of the schedules that have them; ``period`` in iterations.

    Raises
    ------
    ValueError
        If the schedule is unknown.
    """
    done = min(1.0, iteration / iterations)
    if schedule == "constant":
        return initial_lr
    if schedule == "poly":
        return float(initial_lr * (1 - done) ** power)
    if schedule == "step":
        return float(initial_lr * factor ** (iteration // period))
    if schedule == "cosine":
        return initial_lr / 2 * (1 + math.cos(math.pi * done))
    raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")


class IterationSchedule:
    """Sets the learning rate before every iteration, though nnU-Net steps once per epoch.

    Parameters
    ----------
    optimizer
        All its parameter groups get the learning rate.
    rate
        Learning rate of an iteration.
    iterations_per_epoch
        Length of an epoch.
    """

    def __init__(
        self,
        optimizer: "torch.optim.Optimizer",
        rate: Callable[[int], float],
        iterations_per_epoch: int,
    ) -> None:
        self.optimizer = optimizer
        self.rate = rate
        self.iterations_per_epoch = iterations_per_epoch
        self.iteration = 0
        self._set()

    def step(self, epoch: int) -> None:
        """Set the learning rate of an epoch's first iteration; nnU-Net calls it for each epoch."""
        self.iteration = epoch * self.iterations_per_epoch
        self._set()

    def advance(self) -> None:
        """Set the learning rate of the next iteration."""
        self.iteration += 1
        self._set()

    def _set(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.iteration)
