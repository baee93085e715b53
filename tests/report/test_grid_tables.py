import numpy as np
from grid_results import result

from nnunet_sparse.report import grid_tables


def test_cells_hold_mean_and_deviation_over_trainings() -> None:
    results = [
        *(result(iou, rho=0.1, s=1.0, repeat=k) for k, iou in enumerate((0.4, 0.5, 0.6))),
        result(0.3, rho=0.2, s=0.5),
        result(0.8, rho=1.0, s=1.0, kind="dense"),
        result(0.7, rho=0.1, s=1.0, configuration="3d_fullres"),
    ]
    two, three = grid_tables.budget_tables(results)
    assert two.header == ("task", "rho", "s = 0.5", "s = 1", "dense")
    assert two.rows == (
        ("Hippocampus, 2d", "0.100", "", "0.500 ± 0.100", "0.800"),
        ("Hippocampus, 2d", "0.200", "0.300", "", "0.800"),
    )
    assert three.rows == (("Hippocampus, 3d_fullres", "0.100", "0.700", ""),)


def test_findings_of_all_and_of_each_task() -> None:
    results = [
        result(0.5 + gain, task=task, rho=rho, s=s, num_slices=100, repeat=repeat)
        for task, gain_of in (("A", 0.1), ("B", 0.0))
        for rho, s, gain in ((0.1, 1.0, gain_of), (0.2, 0.5, 0.0))
        for repeat in range(2)
    ]
    table = grid_tables.findings_table(results)
    verdicts = {(row[0][:12], row[1]): row[2:] for row in table.rows}
    assert verdicts["fewer slices", "all"][1] == "+0.050"
    assert verdicts["fewer slices", "A, 2d"] == (
        "supported",
        "+0.100",
        "+0.100 to +0.100",
        "1",
        "100%",
    )
    assert verdicts["fewer slices", "B, 2d"][0] == "undecided"


def test_interpolation_beside_the_same_slices() -> None:
    results = [
        result(0.5),
        result(0.6, interpolation="shape", kind="interpolated"),
        result(0.9, rho=0.4),
    ]
    table = grid_tables.interpolation_table(results)
    assert table.rows == (("Hippocampus, 2d", "shape", "0.200", "1.000", "0.500", "0.600"),)


def test_area_and_hours() -> None:
    results = [result(0.4, rho=0.1, num_slices=100), result(0.6, num_slices=200)]
    assert grid_tables.area_table(results).rows == (
        ("Hippocampus, 2d", "fixed", "1.000", "100-200", "0.500"),
    )
    hours = {results[0].dataset: 2.0, results[1].dataset: 1.0}
    rows = grid_tables.hours_table(results, hours).rows
    assert [row[-2:] for row in rows] == [("1.00", "0.600"), ("2.00", "0.400")]


def test_undefined_scores_are_missing() -> None:
    empty = result(counts=np.zeros((3, 3), int), batched_IoU=None, batched_Dice=None)
    row = grid_tables.metric_table([empty]).rows[0]
    assert row[5] == ""
    assert grid_tables.budget_tables([empty])[0].rows[0][2] == ""
