from dataclasses import replace

from grid_results import result

from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.paired_findings import findings_table
from nnunet_sparse.report.grid.panels import AskedTraining, panels

TASK = "Hippocampus, 2d"


def asked_for(*results: Result) -> list[AskedTraining]:
    return [AskedTraining.of_result(r) for r in results]


def test_findings_of_all_and_of_each_task() -> None:
    results = [
        result(0.5 + gain, task=task, rho=rho, s=s, num_slices=100, repeat=repeat)
        for task, gain_of in (("A", 0.1), ("B", 0.0))
        for rho, s, gain in ((0.1, 1.0, gain_of), (0.2, 0.5, 0.0))
        for repeat in range(2)
    ]
    table = findings_table(panels(results, asked_for(result(task="C"))))
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
    assert verdicts["fewer slices", "C, 2d"][0] == "no pair of cells is done"
    assert table.groups[0] == ("", "")


def test_what_an_experiment_cannot_tell_has_no_row() -> None:
    results = [
        result(0.5 + gain, task=task, rho=rho, s=s, num_slices=number, repeat=repeat)
        for task, number in (("A", 100), ("B", 50))
        for rho, s, gain in ((0.1, 1.0, 0.1), (0.2, 0.5, 0.0))
        if number == 100 or s == 1
        for repeat in range(2)
    ]
    results.append(result(0.4, task="A", rho=0.1, s=1.0, num_slices=100, selector="random"))
    rows = findings_table(panels(results)).rows
    assert [row[:2] for row in rows if "fewer slices" in row[0]] == [
        (f"fewer slices on more volumes are better than more on fewer{rest}", task)
        for rest in (" (same budget)", ", if chosen by fixed")
        for task in ("all", "A, 2d")
    ]


def test_what_holds_for_one_selector_need_not_for_another() -> None:
    results = [
        result(0.5 + gain, selector=selector, rho=rho, s=s, num_slices=100, repeat=repeat)
        for selector, gain_of in (("fixed", -0.1), ("random", 0.04))
        for rho, s, gain in ((0.1, 1.0, gain_of), (0.2, 0.5, 0.0))
        for repeat in range(2)
    ]
    rows = findings_table(panels(results)).rows
    found = {row[0].rpartition(" ")[2]: row[2:4] for row in rows if "fewer slices" in row[0]}
    assert found == {
        "budget)": ("not supported", "-0.030"),
        "fixed": ("not supported", "-0.100"),
        "random": ("supported", "+0.040"),
    }


def test_findings_are_asked_before_they_are_done() -> None:
    asked = asked_for(result(), result(selector="ual"), result(interpolation="shape"))
    asked.append(AskedTraining.of_result(result(interpolation="shape", kind="interpolated")))
    table = findings_table(panels([result()], asked))
    assert [row[0] for row in table.rows][3:] == [
        "ual is better than fixed",
        "mask interpolation (shape) helps",
    ]


def test_checks_are_no_part_of_all_tasks() -> None:
    ways = [
        result(0.5 + gain, trainer=trainer, rho=rho, s=s, num_slices=100, repeat=repeat)
        for trainer, gain_of in (("SparseTrainer", 0.1), ("Check", -0.3))
        for rho, s, gain in ((0.1, 1.0, gain_of), (0.2, 0.5, 0.0))
        for repeat in range(2)
    ]
    asked = [replace(each, is_extra=each.trainer == "Check") for each in asked_for(*ways)]
    rows = findings_table(panels(ways, asked)).rows
    assert [row[1:4] for row in rows] == [
        ("all", "supported", "+0.100"),
        (f"{TASK}, SparseTrainer", "supported", "+0.100"),
        (f"{TASK}, Check (extra)", "not supported", "-0.300"),
    ]


def test_over_tasks_each_task_counts_alike() -> None:
    """A gain of 0.1 in three cells of one task, and of 0.02 and 0.03 in one cell of two others."""
    results = [
        result(0.5 + more, task=task, rho=rho, s=s, selector=selector, num_slices=100, repeat=k)
        for task, gain, selectors in (
            ("A", 0.1, ("fixed", "random", "ual")),
            ("B", 0.02, ("fixed",)),
            ("C", 0.03, ("fixed",)),
        )
        for selector in selectors
        for rho, s, more in ((0.1, 1.0, gain), (0.2, 0.5, 0.0))
        for k in range(2)
    ]
    results.append(result(0.9, task="D", configuration="3d_fullres", rho=0.1))
    rows = {row[1]: row for row in findings_table(panels(results)).rows if "(same" in row[0]}
    assert set(rows) == {"all", "2D, tasks as the sample (3)", "A, 2d", "B, 2d", "C, 2d"}
    assert rows["all"][3] == "+0.070"
    # (0.1 + 0.02 + 0.03) / 3; 4.303 times the standard error 0.0252
    assert rows["2D, tasks as the sample (3)"][2:] == (
        "undecided",
        "+0.050",
        "-0.058 to +0.158",
        "5",
        "100%",
    )
