from pathlib import Path

import numpy as np
import pytest

from nnunet_sparse.campaign.cost_fit import fit_cost
from nnunet_sparse.campaign.slice_times import SliceTime
from nnunet_sparse.data.annotation_effort import AnnotationCost
from nnunet_sparse.report.grid.annotation_cost import read_cost
from nnunet_sparse.system.errors import SparseError

COST = AnnotationCost(4, 30, 10, 60, 0.5, 3)


def measured(number: int, cost: AnnotationCost = COST, noise: float = 0.0) -> list[SliceTime]:
    """Times that follow a cost: slices at any distance, with up to four objects or none."""
    rng = np.random.default_rng(0)
    times = []
    for k in range(number):
        objects = int(rng.integers(0, 5))
        distance = None if k % 5 == 0 else int(rng.integers(1, 7))
        opens = k % 7 == 0
        seconds = cost.seconds_per_volume * opens + rng.normal(0, noise)
        if objects:
            saved = cost.saved_share(distance) if distance else 0
            seconds += cost.seconds_per_slice * (1 - saved) + objects * cost.seconds_per_object
        else:
            seconds += cost.seconds_per_empty_slice
        state = "done" if objects else "confirmed empty"
        times.append(SliceTime(f"v{k}", "a", k, "mk", seconds, state, objects, distance, opens))
    return times


def test_a_cost_is_found_again(tmp_path: Path) -> None:
    fitted = fit_cost(measured(120), "times")
    for name in ("seconds_per_empty_slice", "seconds_per_slice", "seconds_per_object"):
        assert getattr(fitted.cost, name) == pytest.approx(getattr(COST, name))
    assert fitted.cost.seconds_per_volume == pytest.approx(60)
    assert fitted.cost.neighbour_saving == pytest.approx(0.5)
    assert fitted.cost.neighbour_range == 3
    assert fitted.residual_s == pytest.approx(0, abs=1e-6)
    # reports read what is written
    file = tmp_path / "cost.yaml"
    file.write_text(fitted.to_yaml(), "utf-8")
    assert read_cost(file) == COST


def test_intervals_hold_the_cost_behind_noise() -> None:
    fitted = fit_cost(measured(120, noise=5), "times")
    for name, (low, high) in fitted.intervals.items():
        assert low <= getattr(fitted.cost, name) <= high, name
        assert low <= getattr(COST, name) <= high, name
    low, high = fitted.intervals["seconds_per_slice"]
    assert high > low


def test_what_cannot_be_told_is_not_claimed() -> None:
    alone = [t for t in measured(200) if t.distance is None]
    fitted = fit_cost(alone, "times")
    assert fitted.cost.neighbour_saving == 0
    assert fitted.cost.neighbour_range == 1
    with pytest.raises(SparseError, match=r"times holds measured times of 19 slices; .* least 20"):
        fit_cost(measured(19), "times")
