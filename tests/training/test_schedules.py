import math

import pytest
import torch

from nnunet_sparse.training.schedules import IterationSchedule, learning_rate


def rate(schedule, iteration, initial_lr=1e-2, iterations=1000):
    return learning_rate(
        schedule,
        iteration,
        initial_lr=initial_lr,
        iterations=iterations,
        power=0.8,
        factor=0.7,
        period=200,
    )


@pytest.mark.parametrize("iteration", [0, 1, 99, 199, 200, 201, 399, 500, 998, 999])
def test_ten_iterations_of_each_schedule(iteration):
    assert rate("constant", iteration) == 1e-2
    assert rate("poly", iteration) == pytest.approx(1e-2 * (1 - iteration / 1000) ** 0.8)
    drops = sum(iteration >= drop for drop in (200, 400, 600, 800))
    assert rate("step", iteration) == pytest.approx(1e-2 * 0.7**drops)
    half = 1e-2 * math.cos(math.pi * iteration / 2000) ** 2
    assert rate("cosine", iteration) == pytest.approx(half)


def test_after_the_end_the_learning_rate_stays_0():
    assert rate("poly", 1001) == 0
    assert rate("cosine", 1001) == pytest.approx(0, abs=1e-18)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="got 'warmup'"):
        rate("warmup", 0)


def test_the_optimizer_gets_the_rate_of_its_iteration():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1)
    schedule = IterationSchedule(optimizer, lambda iteration: 1 / (1 + iteration), 10)
    assert optimizer.param_groups[0]["lr"] == 1
    schedule.step(2)
    assert optimizer.param_groups[0]["lr"] == 1 / 21
    schedule.advance()
    schedule.advance()
    assert optimizer.param_groups[0]["lr"] == 1 / 23
    schedule.step(3)
    assert optimizer.param_groups[0]["lr"] == 1 / 31
