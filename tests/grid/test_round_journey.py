"""A whole experiment with rounds and with labels filled by its networks, killed on its way."""

import csv
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid
from tiny import read_json
from training_fixtures import use_paths
from waiting import GUARD_S

from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.grid.job_states import grid_status
from nnunet_sparse.grid.jobs import DatasetJob, TrainJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.runner import run_job
from nnunet_sparse.grid.step_work import dataset_name
from nnunet_sparse.grid.train_work import model_folder
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.report.grid.grid_report import write_report
from nnunet_sparse.selection.selection import Selection

TEXT = (
    TINY.replace("rho: [0.2]", "rho: [0.1]")
    .replace("s: [1/2, 1]", "s: [1]")
    .replace("[fixed]", "[stratified]")
    .replace("num_epochs: 3", "num_epochs: 1")
    + "rounds: {start: 0.1, add: 0.1, count: 2, selectors: [random, clasp_pe]}\n"
    + "interpolation: {methods: [network]}\n"
    + "dense: false\n"
)


def run_all(grid: Grid) -> None:
    for job in job_graph(grid).values():
        run_job(grid, job)


def kill_when_predicting(grid: Grid) -> None:
    """Run in a process of its own until the network has looked at a first case."""
    child = multiprocessing.get_context("fork").Process(target=run_all, args=(grid,))
    child.start()
    end = time.monotonic() + GUARD_S
    while not list(grid.paths.preprocessed.glob("*/nnsparse/scores_*/*.npz")):
        assert child.is_alive(), "it ended before it was to be killed"
        assert time.monotonic() < end, "nothing was predicted"
        time.sleep(0.01)
    child.kill()
    child.join()


def selection_of(grid: Grid, key: str) -> Selection:
    return Selection.read(grid.paths.raw / dataset_name(grid, key) / SELECTION_FILE)


@pytest.mark.slow
def test_rounds_are_gone_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = write_grid(tmp_path, TEXT)
    grid.paths.make_folders()
    use_paths(grid.paths, monkeypatch)
    for name, value in grid.paths.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(os.environ, "nnUNet_n_proc_DA", "0")
    kill_when_predicting(grid)
    run_all(grid)
    assert set(grid_status(grid).states.values()) == {"done"}

    jobs = jobs_of(job_graph(grid), DatasetJob)
    (first,) = (job for job in jobs if job.subject.source is None)
    before = selection_of(grid, first.key)
    for job in jobs:
        selection = selection_of(grid, job.key)
        assert selection.cases.keys() >= before.cases.keys()
        for case_id, case in before.cases.items():
            assert set(case.slices) <= set(selection.cases[case_id].slices)
        name = dataset_name(grid, job.key)
        assert name.partition("_")[2] == job.key
        if job.subject.variant.rounds is not None:
            # 5 volumes of 16 slices, 2 of each in each round
            assert (before.budget, selection.budget) == (10, 20)
            (added,) = selection.rounds
            network = None
            if job.teachers:
                folder = model_folder(grid, job.teachers[0])
                network = TrainedNetwork.open(folder, [0]).provenance()
                assert added.parameters["rounds"] == 1
            assert added.network == network

    # another file in the same folders finds what it has in common, and goes on
    text = grid.file.read_text("utf-8").replace("count: 2", "count: 3")
    text = text.replace("random, clasp_pe", "random").replace("interpolation", "# interpolation")
    grown = write_grid(tmp_path, text, "grown.yaml")
    there = {folder.name for folder in grid.paths.raw.glob("Dataset*")}
    for each in job_graph(grown).values():
        if each.step in ("base", "dataset"):
            run_job(grown, each)
    (new,) = {folder.name for folder in grid.paths.raw.glob("Dataset*")} - there
    (last,) = (j for j in jobs_of(job_graph(grown), DatasetJob) if "_r3_" in j.key)
    assert dataset_name(grown, last.key) == new
    assert selection_of(grown, last.key).budget == 30

    # networks that were deleted choose nothing anew
    (taught,) = (job for job in jobs if job.teachers and job.subject.variant.rounds is not None)
    checkpoint = model_folder(grid, taught.teachers[0]) / "fold_0" / "checkpoint_final.pth"
    checkpoint.unlink()
    chosen = selection_of(grid, taught.key)
    for each in job_graph(grid).values():
        if isinstance(each, TrainJob | DatasetJob):
            run_job(grid, each)
    assert checkpoint.is_file()
    assert selection_of(grid, taught.key) == chosen

    report = write_report(grid, formats=("png",))
    tables = {file.stem for file in (report.folder / "tables").glob("rounds*.csv")}
    assert tables == {"rounds", "rounds_area", "rounds_penalty"}
    with (report.folder / "tables" / "rounds.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["selector"], row["slices"]) for row in rows] == [
        ("random", "10, 20"),
        ("clasp_pe", "10, 20"),
    ]
    with (report.folder / "tables" / "table4.csv").open(encoding="utf-8") as file:
        assert [row["interpolation"] for row in csv.DictReader(file)] == ["network"]
    assert (report.folder / "figures" / "rounds2.png").is_file()
    counted = read_json(grid.folder / "foreground" / "PhantomOrgan.json")["foreground"]
    assert len(counted) == 5
