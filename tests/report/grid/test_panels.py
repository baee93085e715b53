from dataclasses import replace
from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid
from grid_results import pretend, result

from nnunet_sparse.grid.results import read_results, target_results
from nnunet_sparse.report.grid.factor_columns import having
from nnunet_sparse.report.grid.panels import AskedTraining, asked_trainings, panels
from nnunet_sparse.selection.variant import Variant


def test_titles_say_what_tells_panels_apart() -> None:
    ways = [{"configuration": "3d_fullres"}, {}, {"trainer": "Other"}, {"plans": "otherPlans"}]
    assert [panel.title for panel in panels(result(**way) for way in ways)] == [
        "Hippocampus, 3d_fullres",
        "Hippocampus, 2d, SparseTrainer, nnsparsePlans",
        "Hippocampus, 2d, Other",
        "Hippocampus, 2d, SparseTrainer, otherPlans",
    ]


def test_a_panel_without_results() -> None:
    asked = [AskedTraining.of_result(result(task=task)) for task in ("A", "B")]
    one, other = panels([result(task="B")], asked)
    assert (one.title, one.results, len(one.trainings)) == ("A, 2d", [], 1)
    assert (other.task, other.configuration, other.dimensions) == ("B", "2d", "2D")
    assert (other.results, len(other.trainings)) == ([result(task="B")], 1)
    columns = ["task", "rho", "way", "num_slices"]
    assert other.trainings[columns].to_numpy().tolist() == [["B", 0.2, "fixed", 200]]


def test_repeats_are_counted_without_being_asked_for() -> None:
    results = [result(repeat=k, label=label) for k in range(3) for label in "ab"]
    (panel,) = panels(results)
    assert len(panel.trainings.drop_duplicates("repeat")) == 3
    assert len(panel.results) == 6


def test_an_experiment_asks_for_all_of_its_cells(tmp_path: Path) -> None:
    text = TINY.replace("repeats: 1", "repeats: 2") + "interpolation: {methods: [shape], s: [1]}\n"
    grid = write_grid(tmp_path, text)
    asked = asked_trainings(grid)
    kinds = [
        (each.kind, *(each.variant.value(name) for name in ("rho", "s", "interpolation")))
        for each in asked[::2]
    ]
    assert sorted(kinds) == [
        ("dense", 1.0, 1.0, ""),
        ("interpolated", 0.2, 1.0, "shape"),
        ("sparse", 0.2, 0.5, ""),
        ("sparse", 0.2, 1.0, ""),
    ]
    assert [replace(each, repeat=1) for each in asked[::2]] == asked[1::2]
    pretend(grid)
    assert {AskedTraining.of_result(r) for r in read_results(grid)} == set(asked)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ("rho: [0.2, 1]", ["dense", "sparse"]),
        ("rho: [0.2]", ["dense"]),
        ("rho: [0.2]\ninterpolation: {rho: [1], methods: [shape]}", ["dense", "partner"]),
    ],
)
def test_dense_annotation_may_be_a_cell_of_the_grid(
    tmp_path: Path, changes: str, kinds: list[str]
) -> None:
    grid = write_grid(tmp_path, TINY.replace("rho: [0.2]", changes))
    pretend(grid)
    (panel,) = panels(target_results(read_results(grid)), asked_trainings(grid))
    whole = [
        r for r in panel.results if r.variant.same_but("seed") == Variant(1.0).same_but("seed")
    ]
    assert [r.kind for r in whole] == kinds
    asked = having(panel.trainings, rho=1, s=1, interpolation="")
    assert asked["kind"].tolist() == kinds
