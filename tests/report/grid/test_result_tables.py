import csv

import pytest
from grid_fixtures import write_grid
from grid_results import pretend

from nnunet_sparse.grid.cells import Training
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.report.grid.report_command import main

TEXT = """\
tasks:
  - phantom: {task: organ}
  - phantom: {task: lesion}
configurations:
  - {configuration: 2d, planner: SmallPlanner}
rho: [0.1, 0.2, 1]
s: [1/2, 1]
selectors: [fixed, random]
interpolation: {methods: [shape], rho: [0.1], s: [1]}
repeats: 2
nnunet: nnunet
"""


def _iou(training: Training) -> float:
    variant = training.of.variant
    noise = 0.01 * training.repeat + 0.02 * (variant.selector == "random")
    return 0.3 + 0.2 * (variant.rho or 0) * variant.s + noise


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """An experiment that is done, its report, and its results in ``kept.csv``."""
    grid = write_grid(tmp_path_factory.mktemp("home"), TEXT)
    pretend(grid, _iou, ("organ", "tumour"))
    kept = str(grid.file.with_name("kept.csv"))
    options = ["--cases", "0", "-np", "1", "--formats", "png", "--export", kept]
    assert main([str(grid.file), *options]) == 0
    return grid


@pytest.mark.parametrize("name", ["findings", "table2", "selectors", "area", "table4", "metrics"])
def test_tables_of_kept_results_are_those_of_the_report(
    grid: Grid, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(grid.file.with_name("kept.csv")), "--tables", name]) == 0
    expected = (grid.folder / "report" / "tables" / f"{name}.md").read_text("utf-8")
    assert capsys.readouterr().out == expected


def test_kept_results_begin_with_the_table_of_results(grid: Grid) -> None:
    files = grid.folder / "report" / "results.csv", grid.file.with_name("kept.csv")
    results, kept = (list(csv.reader(file.read_text("utf-8").splitlines())) for file in files)
    assert [row[: len(results[0])] for row in kept] == results


def test_chosen_rows(grid: Grid, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(grid.file.with_name("kept.csv")), "--rows", "tasks as the sample"]) == 0
    _, _, header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("| finding | task | verdict |")
    assert {row.split(" | ")[1] for row in rows} == {"2D, tasks as the sample (2)"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kept.csv", "--tables", "table9"], "there is no table 'table9', there are findings"),
        (["kept.csv", "--rows", "nothing"], "no row of the table findings contains 'nothing'"),
        (["kept.csv", "-o", "folder"], "go with an experiment file"),
        (["tiny.yaml", "kept.csv"], "one experiment file is reported at a time, got 2 files"),
        (["tiny.yaml", "--tables", "table2"], "--tables and --rows go with kept results"),
        (["tiny.yaml", "--export", "tiny.yaml"], "ends in .csv, got"),
    ],
)
def test_what_does_not_go_together(
    grid: Grid, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    here = grid.file.parent
    words = [str(here / word) if word.endswith((".csv", ".yaml")) else word for word in arguments]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
