from pathlib import Path

import numpy as np
import pytest
from grid_fixtures import TINY, write_grid
from grid_results import pretend

from nnunet_sparse.grid.results import read_results
from nnunet_sparse.report.grid.annotation_cost import (
    AnnotationCost,
    Effort,
    annotation_hours,
    count_objects,
    read_cost,
)
from nnunet_sparse.system.errors import SparseError


def test_hours_worked_by_hand() -> None:
    cost = AnnotationCost(2, 30, 10, 60)
    assert Effort(volumes=3, empty=5, slices=4, objects=7).hours(cost) == pytest.approx(
        (3 * 60 + 5 * 2 + 4 * 30 + 7 * 10) / 3600
    )


def test_objects_of_a_slice() -> None:
    label = np.array(
        [
            [1, 0, 0, 2, 2],
            [0, 1, 0, 2, 1],
            [0, 0, 0, 0, 0],
            [3, 0, 3, 0, 3],
        ]
    )
    # 1 touches itself across a corner, and has another part; 2 is one; 3 is three
    assert count_objects(label) == 2 + 1 + 3
    assert count_objects(np.zeros((3, 3), int)) == 0


def test_data_sets_that_are_gone_are_left_out(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, TINY + "interpolation: {methods: [shape]}\n")
    pretend(grid)
    assert annotation_hours(grid, read_results(grid), AnnotationCost(), 1) == {}


def test_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cost.yaml"
    file.write_text("seconds_per_slice: 30\nseconds_per_volume: 60.5\n")
    assert read_cost(file) == AnnotationCost(0, 30, 0, 60.5)
    file.write_text("seconds_per_slice: -1\n")
    with pytest.raises(SparseError, match="line 1: seconds_per_slice must be a number of at leas"):
        read_cost(file)
    file.write_text("second_per_slice: 1\n")
    with pytest.raises(SparseError, match="did you mean seconds_per_slice"):
        read_cost(file)
