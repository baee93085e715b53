from typing import Any

import numpy as np
from grid_results import result

from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid import paper_tables as grid_tables
from nnunet_sparse.report.grid.mask_quality import MaskQuality
from nnunet_sparse.report.grid.paired_findings import findings_table
from nnunet_sparse.report.grid.panels import AskedTraining, panels

TASK = "Hippocampus, 2d"


def asked_for(*results: Result) -> list[AskedTraining]:
    return [AskedTraining.of_result(r) for r in results]


def test_cells_hold_mean_and_deviation_over_trainings() -> None:
    results = [
        *(result(iou, rho=0.1, s=1.0, repeat=k) for k, iou in enumerate((0.4, 0.5, 0.6))),
        result(0.3, rho=0.2, s=0.5),
        result(0.8, rho=1.0, s=1.0, kind="dense"),
        result(0.7, rho=0.1, s=1.0, configuration="3d_fullres"),
    ]
    two, three = grid_tables.budget_tables(panels(results))
    assert two.header == ("task", "rho", "s = 0.5", "s = 1", "dense")
    assert two.rows == (
        (TASK, "0.100", "N/A", "0.500 ± 0.100", "0.800"),
        (TASK, "0.200", "0.300", "N/A", "0.800"),
    )
    # nobody asks for dense annotation in 3D
    assert three.header == ("task", "rho", "s = 1")
    assert three.rows == (("Hippocampus, 3d_fullres", "0.100", "0.700"),)
    assert two.groups == (("Hippocampus", "2d"),) * 2


def test_what_is_asked_for_has_its_place() -> None:
    asked = asked_for(
        *(
            result(rho=rho, s=s, selector=x)
            for rho in (0.1, 0.2)
            for s in (0.5, 1.0)
            for x in ("random", "ual")
        ),
        result(rho=1.0, kind="dense"),
        result(task="Liver", rho=0.1),
    )
    shown = panels([result(0.5, rho=0.1, s=1.0, selector="random")], asked)
    (table,) = grid_tables.budget_tables(shown)
    assert table.rows == (
        (TASK, "0.100", "", "0.500 (1 of 2)", ""),
        (TASK, "0.200", "", "", ""),
        # which has one cell and no dense reference
        ("Liver, 2d", "0.100", "N/A", "", "N/A"),
    )
    table = grid_tables.selector_table(shown)
    assert table.header == ("task", "rho", "s", "slices", "fixed", "random", "ual")
    assert [row[4:] for row in table.rows if row[3] != ""] == [("N/A", "0.500", "")]
    assert len(table.rows) == 5
    assert len(grid_tables.area_table(shown).rows) == 5
    assert len(grid_tables.metric_table(shown).rows) == 10
    assert [row[4] for row in grid_tables.metric_table(shown).rows][-1] == ""


def test_scopes_are_not_pooled() -> None:
    results = [result(0.4, scope="volume"), result(0.6, scope="dataset")]
    (table,) = grid_tables.budget_tables(panels(results))
    assert table.header == ("task", "rho", "scope", "s = 1")
    assert [row[2:] for row in table.rows] == [("dataset", "0.600"), ("volume", "0.400")]
    area = grid_tables.area_table(panels(results))
    assert [row[:4] for row in area.rows] == [
        (TASK, "fixed", "1.000", "dataset"),
        (TASK, "fixed", "1.000", "volume"),
    ]


def test_seeds_are_told_apart_or_named() -> None:
    results = [result(0.4, seed=0), result(0.6, seed=3)]
    (table,) = grid_tables.budget_tables(panels(results))
    assert table.title.endswith("over seeds and repeats")
    table = grid_tables.selector_table(panels(results))
    assert [row[3:] for row in table.rows] == [("0", "200", "0.400"), ("3", "200", "0.600")]


def test_interpolation_beside_the_same_slices() -> None:
    results = [
        result(0.5),
        result(0.6, interpolation="shape", kind="interpolated"),
        result(0.9, rho=0.4),
    ]
    table = grid_tables.interpolation_table(panels(results))
    assert table.rows == ((TASK, "shape", "0.200", "1.000", "0.500", "0.600"),)


def test_interpolation_by_selector_and_together() -> None:
    filled = {"interpolation": "shape", "kind": "interpolated"}
    results = [
        result(0.5),
        result(0.7, **filled),
        result(0.6, selector="random", positive_weight=3.0, kind="partner"),
        result(0.4, selector="random", kind="sparse"),
        result(0.9, selector="random", positive_weight=3.0, **filled),
    ]
    table = grid_tables.interpolation_table(panels(results))
    assert table.header[4:] == ("selector", "weight", "without", "with")
    assert [row[4:] for row in table.rows] == [
        ("all", "all", "0.550 ± 0.071", "0.800 ± 0.141"),
        ("fixed", "1", "0.500", "0.700"),
        ("random", "3", "0.600", "0.900"),
    ]


def test_area_and_hours() -> None:
    results = [result(0.4, rho=0.1, num_slices=100), result(0.6, num_slices=200)]
    asked = asked_for(*results, result(rho=0.4))
    assert grid_tables.area_table(panels(results)).rows == (
        (TASK, "fixed", "1.000", "100-200", "0.500"),
    )
    (row,) = grid_tables.area_table(panels(results, asked)).rows
    assert row[-1] == "0.500 (2 of 3 densities)"
    hours = {results[0].dataset: 2.0, results[1].dataset: 1.0}
    rows = grid_tables.hours_table(panels(results, asked), hours).rows
    assert [row[-2:] for row in rows] == [("1.00", "0.600"), ("2.00", "0.400"), ("", "")]


def test_a_number_of_slices_that_is_not_known_is_missing() -> None:
    results = [result(0.4, rho=0.1, num_slices=0), result(0.6, num_slices=200)]
    (row,) = grid_tables.area_table(panels(results)).rows
    assert row[-2:] == ("200", "")


def test_undefined_scores_are_not_missing() -> None:
    empty = result(counts=np.zeros((3, 3), int), batched_IoU=None, batched_Dice=None)
    row = grid_tables.metric_table(panels([empty])).rows[0]
    assert row[5] == "undefined"
    assert grid_tables.budget_tables(panels([empty]))[0].rows[0][2] == "undefined"


def test_a_label_called_mean_is_not_the_mean() -> None:
    ones = np.tile([1, 0, 0], (10, 1))
    label = result(counts=ones, label="mean")
    mean = result(counts=np.stack([ones, ones * 0 + [0, 1, 0]]), label="mean")
    rows = grid_tables.metric_table(panels([label, mean])).rows
    assert [row[4:6] for row in rows] == [("mean", "1.000"), ("mean over labels", "0.500")]


def test_masks_of_variants_that_differ_in_little() -> None:
    def quality(iou: float | None, done: bool = True, **changes: Any) -> MaskQuality:
        filled = result(selector="random", interpolation="shape", **changes).variant
        return MaskQuality("Liver", filled, done, iou)

    qualities = [
        quality(0.9, positive_weight=3.0),
        quality(0.8),
        quality(None, seed=1, done=False),
        quality(None, seed=2),
    ]
    table = grid_tables.quality_table(qualities)
    assert table.header[4:] == ("selector", "weight", "seed", "batched IoU")
    assert [row[5:] for row in table.rows] == [
        ("1", "0", "0.800"),
        ("1", "1", ""),
        ("1", "2", "undefined"),
        ("3", "0", "0.900"),
    ]
    pooled = MaskQuality("Liver", qualities[0].variant, True, 0.85, pooled=True)
    rows = grid_tables.quality_table([*qualities, pooled]).rows
    # the pooled ones come first, as in table 4
    assert [row[4:] for row in rows[:2]] == [
        ("all", "all", "all", "0.850"),
        ("random", "1", "0", "0.800"),
    ]
    # masks do not depend on how they are used
    assert set(table.groups) == {("Liver", "")}


def test_numbers_of_slices_have_columns_of_their_own() -> None:
    results = [result(0.4, budget=20), result(0.5, slices_per_volume=2), result(0.6, rho=0.1)]
    (table,) = grid_tables.budget_tables(panels(results))
    assert table.header == ("task", "rho", "slices per volume", "budget", "s = 1")
    assert [row[1:] for row in table.rows] == [
        ("", "", "20", "0.400"),
        ("", "2", "", "0.500"),
        ("0.100", "", "", "0.600"),
    ]
    assert grid_tables.metric_table(panels(results[:1])).header[:4] == (
        *("task", "annotation", "budget", "s"),
    )


def test_parameters_and_networks_of_selectors_are_not_pooled() -> None:
    ual = {"selector": "ual", "mae": "small"}
    results = [
        result(0.4, **ual),
        result(0.6, **ual, parameters={"clusters": 5}),
        result(0.5, selector="ual"),
    ]
    table = grid_tables.selector_table(panels(results))
    assert table.header[4:] == ("ual", "ual clusters=5 small", "ual small")
    assert table.rows[0][4:] == ("0.500", "0.600", "0.400")
    claims = [row[0] for row in findings_table(panels(results)).rows]
    assert "ual clusters=5 small is better than ual small" in claims


def test_cells_that_are_excluded_are_not_missing() -> None:
    results = [result(0.5, rho=0.1, s=s) for s in (0.5, 1.0)]
    excluded = asked_for(*(result(rho=0.05, s=s) for s in (0.5, 1.0)), result(rho=0.4, s=0.5))
    missing = asked_for(result(rho=0.4, s=1.0))
    shown = panels(results, [*asked_for(*results), *missing], excluded)
    (table,) = grid_tables.budget_tables(shown)
    assert [row[1:] for row in table.rows] == [
        ("0.050", "N/A", "N/A"),
        ("0.100", "0.500", "0.500"),
        ("0.400", "N/A", ""),
    ]
    # a column of numbers stays one
    assert table.is_text == (True, False, False, False)
    rows = grid_tables.selector_table(shown).rows
    assert [row[3:] for row in rows if row[1] == "0.050"] == [("N/A", "N/A")] * 2
    # one density is left, of which there is no area; of the other two one is missing
    areas = grid_tables.area_table(shown).rows
    assert [row[-1] for row in areas] == ["undefined", ""]
    assert len(grid_tables.hours_table(shown, {}).rows) == 6


def test_interpolation_that_is_excluded_is_not_missing() -> None:
    filled = {"interpolation": "shape", "kind": "interpolated"}
    weight = {"selector": "random", "positive_weight": 3.0}
    excluded = asked_for(
        *(result(rho=0.8, **changes, **filled) for changes in ({}, weight)),
        result(rho=0.8, kind="partner", **weight),
    )
    results = [result(0.5), result(0.6, **filled), result(0.7, rho=0.8)]
    table = grid_tables.interpolation_table(panels(results, asked_for(*results), excluded[:1]))
    assert [row[1:] for row in table.rows] == [
        ("shape", "0.200", "1.000", "0.500", "0.600"),
        ("shape", "0.800", "1.000", "0.700", "N/A"),
    ]
    shown = panels(results[:2], asked_for(*results[:2]), excluded[1:])
    rows = [row[1:] for row in grid_tables.interpolation_table(shown).rows]
    # selector and weight are columns, since the excluded cell has others
    assert rows == [
        ("shape", "0.200", "1.000", "all", "all", "0.500", "0.600"),
        ("shape", "0.800", "1.000", "all", "all", "N/A", "N/A"),
        ("shape", "0.200", "1.000", "fixed", "1", "0.500", "0.600"),
        ("shape", "0.800", "1.000", "random", "3", "N/A", "N/A"),
    ]


def test_means_with_and_without_interpolation_are_of_the_same_cells() -> None:
    filled = {"interpolation": "shape", "kind": "interpolated"}
    results = [
        result(0.5),
        result(0.6, **filled),
        result(0.1, selector="random"),
        result(0.9, selector="ual", **filled),
    ]
    excluded = asked_for(result(selector="random", **filled), result(selector="ual"))
    table = grid_tables.interpolation_table(panels(results, asked_for(*results), excluded))
    assert [row[4:] for row in table.rows] == [
        ("all", "0.500", "0.600"),
        ("fixed", "0.500", "0.600"),
        ("random", "0.100", "N/A"),
        ("ual", "N/A", "0.900"),
    ]


def test_cells_that_only_another_task_has_are_not_missing() -> None:
    results = [result(0.5, s=1.0), result(0.4, task="Liver", s=0.5)]
    excluded = asked_for(result(task="Liver", s=1.0), result(task="Liver", slices_per_volume=2))
    (table,) = grid_tables.budget_tables(panels(results, asked_for(*results), excluded))
    assert table.header == ("task", "rho", "slices per volume", "s = 0.5", "s = 1")
    assert table.rows == (
        (TASK, "0.200", "", "N/A", "0.500"),
        ("Liver, 2d", "", "2", "N/A", "N/A"),
        ("Liver, 2d", "0.200", "", "0.400", "N/A"),
    )


def test_ways_of_training_of_which_the_dense_reference_is_left() -> None:
    dense = result(0.8, rho=1.0, kind="dense")
    shown = panels([dense], asked_for(dense), asked_for(result(rho=0.1)))
    (table,) = grid_tables.budget_tables(shown)
    assert table.rows == ((TASK, "0.100", "N/A", "0.800"),)
    assert grid_tables.selector_table(shown).rows == ((TASK, "0.100", "1.000", "N/A", "N/A"),)


def test_cells_with_collapsed_trainings_are_marked() -> None:
    results = [result(iou, rho=0.05, repeat=k) for k, iou in enumerate((0.0, 0.3))]
    results += [result(0.5), result(0.0, rho=1.0, kind="dense")]
    (table,) = grid_tables.budget_tables(panels(results, asked_for(*results, result(repeat=1))))
    assert [row[1:] for row in table.rows] == [
        ("0.050", "0.150 ± 0.212 (1 of 2 collapsed)", "0.000 (1 of 1 collapsed)"),
        ("0.200", "0.500 (1 of 2)", "0.000 (1 of 1 collapsed)"),
    ]
    assert table.title.endswith("; collapsed: no voxel of the target found in any test case")
    (table,) = grid_tables.budget_tables(panels(results[1:3]))
    assert "collapsed" not in table.title


def test_masks_that_are_not_made_are_not_missing() -> None:
    filled = [result(interpolation="shape", rho=rho).variant for rho in (0.4, 0.8)]
    qualities = [
        MaskQuality("ATLAS", filled[0], True, 0.9),
        MaskQuality("ATLAS", filled[1], False, None, is_left_out=True),
    ]
    assert [row[-1] for row in grid_tables.quality_table(qualities).rows] == ["0.900", "N/A"]
