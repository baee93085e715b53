from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid
from grid_results import pretend, result

from nnunet_sparse.grid.results import read_results, target_results
from nnunet_sparse.report.grid.panels import (
    Cell,
    amounts,
    asked_cells,
    factor,
    grouped,
    having,
    levels,
    panels,
    pooled_over,
    selector_names,
    varying,
)
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
    asked = [Cell.of_result(result(task=task)) for task in ("A", "B")]
    one, other = panels([result(task="B")], asked)
    assert (one.title, one.results, one.asked) == ("A, 2d", (), (asked[0],))
    assert (other.task, other.configuration, other.dimensions) == ("B", "2d", "2D")
    assert other.results_of(other.asked * 2) == [result(task="B")]


def test_repeats_are_counted_without_being_asked_for() -> None:
    results = [result(repeat=k, label=label) for k in range(3) for label in "ab"]
    (panel,) = panels(results)
    assert len(panel.asked) == 3
    assert len(panel.results) == 6


def test_an_experiment_asks_for_all_of_its_cells(tmp_path: Path) -> None:
    text = TINY.replace("repeats: 1", "repeats: 2") + "interpolation: {methods: [shape], s: [1]}\n"
    grid = write_grid(tmp_path, text)
    asked = asked_cells(grid)
    kinds = [
        (cell.kind, *(factor(cell, name) for name in ("rho", "s", "interpolation")))
        for cell in asked[::2]
    ]
    assert sorted(kinds) == [
        ("dense", 1.0, 1.0, ""),
        ("interpolated", 0.2, 1.0, "shape"),
        ("sparse", 0.2, 0.5, ""),
        ("sparse", 0.2, 1.0, ""),
    ]
    assert asked[::2] == asked[1::2]
    pretend(grid)
    assert {Cell.of_result(r) for r in read_results(grid)} == set(asked)


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
    (panel,) = panels(target_results(read_results(grid)), asked_cells(grid))
    whole = [
        r for r in panel.results if r.variant.same_but("seed") == Variant(1.0).same_but("seed")
    ]
    assert [r.kind for r in whole] == kinds
    assert [cell.kind for cell in having(panel.asked, rho=1, s=1, interpolation="")] == kinds


def test_factors_of_cells() -> None:
    cells = [Cell.of_result(result(rho=rho, seed=seed)) for rho in (0.2, 0.1) for seed in (1, 0)]
    assert having(cells, rho=0.1, seed=0) == [cells[3]]
    assert list(grouped(cells, "rho")) == [(0.1,), (0.2,)]
    assert varying(cells, "scope", "seed", "rho") == ("seed", "rho")
    assert pooled_over(cells, "selector") == "repeats"
    assert pooled_over(cells, "selector", "seed") == "seeds and repeats"


def test_amounts_of_different_kinds() -> None:
    amounts_of = [{"budget": 5}, {"rho": 0.4}, {"slices_per_volume": 3}, {"rho": 0.1}]
    cells = [Cell.of_result(result(**amount)) for amount in amounts_of]
    assert [amount.text for amount in levels(cells, "amount")] == [
        "0.1",
        "0.4",
        "3 each",
        "5 in all",
    ]
    assert amounts(cells) == ("rho", "slices_per_volume", "budget")
    assert list(grouped(cells, "rho")) == [(None,), (0.1,), (0.4,)]


def test_names_of_selectors_say_what_tells_them_apart() -> None:
    def names(*factors: dict[str, object]) -> list[str]:
        return list(selector_names([Cell.of_result(result(**each)) for each in factors]).values())

    ual: dict[str, object] = {"selector": "ual"}
    small = ual | {"mae": "small", "parameters": {"clusters": 5}}
    assert names(ual, small, {}) == ["fixed", "ual", "ual clusters=5 small"]
    whole = {"scope": "dataset"}
    assert names({}, whole) == ["fixed (dataset)", "fixed (volume)"]
    assert names({}, whole, whole | {"min_per_volume": 2}) == [
        "fixed (dataset, at least 0)",
        "fixed (dataset, at least 2)",
        "fixed (volume)",
    ]
