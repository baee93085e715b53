import csv
import json
import re
from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid
from grid_results import pretend
from tiny import tree

from nnunet_sparse.grid.cells import Training
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.report.grid.report_command import main

TWO = """\
tasks:
  - phantom: {task: organ}
  - phantom: {task: lesion}
configurations:
  - {configuration: 2d, planner: SmallPlanner}
  - {configuration: 3d_fullres, planner: SmallPlanner}
rho: [0.1, 0.2]
s: [1/2, 1]
selectors: [fixed, random]
interpolation: {methods: [shape], s: [1]}
repeats: 2
nnunet: nnunet
"""


@pytest.fixture
def grid(no_paths: Path) -> Grid:
    """A small experiment; the working directory is not that of its file."""
    (no_paths / "home").mkdir()
    grid = write_grid(no_paths / "home")
    pretend(grid)
    return grid


@pytest.fixture
def half_done(no_paths: Path) -> Grid:
    """One of four panels is done, but for one cell."""
    grid = write_grid(no_paths, TWO)
    pretend(grid, _of_first_panel)
    return grid


def _of_first_panel(training: Training) -> float | None:
    variant = training.of.variant
    first = (training.of.base.suffix, training.configuration.configuration)
    if first != ("PhantomOrgan", "2d") or (variant.rho, variant.s) == (0.2, 0.5):
        return None
    return 0.3 + (variant.rho or 0) / 4


def report(grid: Grid, *options: str) -> int:
    """Without the viewer, which needs images."""
    return main([str(grid.file), "--cases", "0", "-np", "1", *options])


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_cell_that_is_asked_for_is_shown(
    half_done: Grid, capsys: pytest.CaptureFixture[str]
) -> None:
    new = Path("new")
    assert report(half_done, "-o", str(new), "--formats", "svg") == 0
    assert "22 of 104 trainings" in capsys.readouterr().out
    figures = {path.name for path in (new / "figures").iterdir()}
    assert figures == {*(f"figure{k}.svg" for k in range(1, 6)), "cells2.svg", "cells3.svg"}
    table = {(row["task"], row["rho"]): row for row in rows(new, "table2")}
    assert table["PhantomOrgan, 2d", "0.100"]["s = 0.5"] == "0.325 ± 0.000"
    assert table["PhantomOrgan, 2d", "0.200"]["s = 0.5"] == ""
    assert set(table["PhantomLesion, 2d", "0.200"].values()) == {"PhantomLesion, 2d", "0.200", ""}
    assert {row["s = 1"] for row in rows(new, "table3")} == {""}
    assert len(rows(new, "table4")) == 4 * 2 * 3  # panels, densities, selectors and all
    assert len(rows(new, "table5")) == 2 * 2 * 3  # tasks, densities, selectors and all
    assert "| PhantomOrgan, 2d | 0.200 | — | 0.350 ± 0.000 |" in (new / "report.md").read_text(
        "utf-8"
    )
    page = (new / "report.html").read_text("utf-8")
    names = re.findall(r' id="([^"]*)"', page)
    assert len(names) == len(set(names))
    assert (
        "a marker is the mean over repeats of one density, volume fraction and selector; a line "
        "joins the densities of one volume fraction s, mean over selectors and repeats."
    ) in page
    assert "one value for each cell (as in the paper" in page
    # two of figure 3, figure 4, figure 5, and the map of cells
    assert page.count('<img data-task="PhantomLesion" data-configuration="3d_fullres"') == 5


def test_figure_5_of_single_trainings(grid: Grid) -> None:
    assert report(grid, "--formats", "svg", "--deviations", "trainings") == 0
    document = (grid.folder / "report" / "report.md").read_text("utf-8")
    assert "Deviation of each training from the mean of those of all selectors" in document


def test_collapsed_trainings_may_enter_figure_1(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, TINY + "collapsed: include\n")
    pretend(grid, lambda training: 0.0 if training.of.variant.s == 0.5 else 0.5)
    assert report(grid, "--formats", "svg") == 0
    document = (grid.folder / "report" / "report.md").read_text("utf-8")
    said = "(no voxel of the target found in any test case), in the means: PhantomOrgan, 2d"
    assert f"{said}, rho 0.2 (s 0.5)" in document


SLICES = """\
tasks:
  - phantom: {task: lesion}
configurations:
  - {configuration: 3d_fullres, planner: SmallPlanner}
  - {configuration: 3d_fullres, planner: SmallPlanner, trainer: Check, extra: true}
slices_per_volume: [1, 2]
s: [1]
selectors: [fixed]
interpolation: {methods: [shape]}
exclude:
  - {slices_per_volume: 2, kind: interpolated}
repeats: 2
nnunet: nnunet
"""


def _of_slices(training: Training) -> float:
    """Networks collapse with one slice of each volume, and the check does not."""
    number = training.of.variant.slices_per_volume or 3
    return 0.2 * number + 0.1 if training.configuration.extra else 0.2 * (number - 1)


@pytest.mark.slow
def test_one_or_two_slices_of_each_volume(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, SLICES)
    pretend(grid, _of_slices, ("liver", "tumour"))
    assert report(grid, "--formats", "svg") == 0
    new = grid.folder / "report"
    way, check = (
        "PhantomLesion, 3d_fullres, SparseTrainer",
        "PhantomLesion, 3d_fullres, Check (extra)",
    )
    found = {(row["task"], row["slices per volume"]): row["s = 1"] for row in rows(new, "table3")}
    assert found == {
        (way, "1"): "0.000 ± 0.000 (2 of 2 collapsed)",
        (way, "2"): "0.200 ± 0.000",
        (check, "1"): "0.300 ± 0.000",
        (check, "2"): "0.500 ± 0.000",
    }
    filled = {(row["task"], row["slices per volume"]): row["with"] for row in rows(new, "table4")}
    assert (filled[way, "2"], filled[check, "2"]) == ("N/A", "N/A")
    assert filled[check, "1"] == "0.300 ± 0.000"
    fifth = {row["slices per volume"]: row["batched IoU"] for row in rows(new, "table5")}
    assert fifth == {"1": "", "2": "N/A"}
    with (new / "results.csv").open(encoding="utf-8") as file:
        results = list(csv.DictReader(file))
    assert {row["label"] for row in results} == {"liver", "tumour"}
    assert {row["slices_per_volume"] for row in results if row["collapsed"] == "True"} == {"1"}
    document = (new / "report.md").read_text("utf-8")
    assert (
        f"Collapsed (no voxel of the target found in any test case), left out: {way}, 1 each (s 1)."
        f" No part of the means: {check}"
    ) in document
    assert f"N/A (not part of the experiment): {way}, 2 each (s 1); {check}, 2 each" in document
    # sparse and interpolated, with two repeats
    assert "4 of them collapsed: no voxel of the target found in any test case." in document


def test_the_same_results_give_the_same_report(grid: Grid) -> None:
    assert report(grid) == 0
    before = tree(grid.folder / "report")
    marker = json.loads(before["report.json"])
    assert marker["experiment"] == str(grid.folder.resolve())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", marker["newest_result"])
    assert set(marker["files"]) == {name for name, content in before.items() if content}
    assert report(grid) == 0
    assert tree(grid.folder / "report") == before
    assert b"://" not in before["report.html"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "thesis"], "is no report: choose another folder with -o, or replace all that it"),
        (["-o", "home"], "home holds the experiment file"),
        (["-o", "home", "--overwrite"], "home holds the experiment file"),
        (["-o", "home/tiny"], "is the experiment's folder"),
        (["-o", "home/tiny.yaml"], "is the experiment file"),
        (["-o", "thesis/thesis.tex"], "thesis.tex is a file"),
        (["-o", "thesis/thesis.tex/report"], "cannot be written to"),
        (["-o", "/proc/report"], "the report cannot be written to /proc"),
        (["--cost", "none.yaml"], "none.yaml"),
    ],
)
def test_what_is_refused_changes_nothing(
    grid: Grid,
    no_paths: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    (no_paths / "thesis").mkdir()
    (no_paths / "thesis" / "thesis.tex").write_text("mine")
    before = tree(no_paths)
    assert report(grid, *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert message in error
    assert tree(no_paths) == before


def test_an_experiment_without_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = write_grid(tmp_path, TWO)
    assert report(grid) == 2
    assert "no training of" in capsys.readouterr().err
    assert not grid.folder.exists()


def test_a_failure_in_between_leaves_the_earlier_report(
    grid: Grid, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(grid, "--formats", "svg") == 0
    before = tree(grid.folder)
    monkeypatch.setattr("nnunet_sparse.report.grid.grid_report.render_page", _fill_disk)
    assert report(grid, "--formats", "png") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert tree(grid.folder) == before


def _fill_disk(**_: object) -> str:
    raise OSError(28, "No space left on device")


def test_all_slices_of_all_volumes_are_a_cell_of_the_grid(tmp_path: Path) -> None:
    text = TINY.replace("rho: [0.2]", "rho: [1]").replace("[fixed]", "[fixed, random]")
    grid = write_grid(tmp_path, text)
    pretend(grid, lambda t: 0.9 if t.of.kind == "dense" else 0.5)
    assert report(grid, "--formats", "png") == 0
    (half, whole) = rows(grid.folder / "report", "selectors")
    assert (half["s"], half["fixed"], half["random"]) == ("0.500", "0.500", "0.500")
    assert (whole["s"], whole["fixed"], whole["random"]) == ("1.000", "0.900", "0.500")
    (row,) = rows(grid.folder / "report", "table2")
    assert (row["s = 1"], row["dense"]) == ("0.700 ± 0.283", "0.900")
