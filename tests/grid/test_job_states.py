from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid.job_records import GridFolder, Record
from nnunet_sparse.grid.job_states import grid_status, last_lines, status_report
from nnunet_sparse.grid.jobs import Job, job_graph
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.runner import asked_for
from nnunet_sparse.grid.step_work import StepWork, Work
from nnunet_sparse.system.locks import try_lock, unlock


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Keys of jobs whose files are not there; those of all others are."""
    keys: set[str] = set()

    def is_there(_: StepWork[Job], __: Work, job: Job) -> bool:
        return job.key not in keys

    for kind in StepWork.__subclasses__():
        monkeypatch.setattr(kind, "is_there", is_there)
    return keys


def finish(grid: Grid, name: str, seconds: float) -> None:
    """Record that a job was done as it is asked for."""
    folder, job = GridFolder(grid.folder), job_graph(grid)[name]
    asked = asked_for(Work(grid), job)
    folder.write(name, Record("1", asked, dict.fromkeys(job.inputs, "1"), seconds, {}))


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


@pytest.mark.usefixtures("gone")
def test_states(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    folder = GridFolder(grid.folder)
    names = [name for name, job in job_graph(grid).items() if job.step == "train"]
    finish(grid, "base/PhantomOrgan", 3.0)
    write(folder.log(names[0]), "Epoch 1\n\nerror: something\n")
    write(folder.failure(names[0]), "something")
    write(folder.log(names[1]), "Epoch 0\n")
    folder.lock(names[2]).parent.mkdir(parents=True)
    lock = try_lock(folder.lock(names[2]))
    assert lock is not None
    status = grid_status(grid)
    unlock(lock)
    assert status.of("done") == ["base/PhantomOrgan"]
    assert [status.states[name] for name in names] == ["failed", "stopped", "running"]
    assert len(status.of("waiting")) == len(status.states) - 4
    report = status_report(status)
    assert f"failed: {names[0]}\n  Epoch 1\n  error: something\n" in report
    assert f"stopped: {names[1]}" in report
    assert f"running: {names[2]}" in report
    assert "0 of 1, 2d SparseTrainer" in report
    assert report.endswith("time left: unknown until each kind of job has been done once")


@pytest.mark.usefixtures("gone")
def test_time_left(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    jobs = job_graph(grid)
    assert len(jobs) == 16  # of three variants
    for step in ("base", "dataset", "prepare", "train", "predict", "score"):
        first = next(name for name, job in jobs.items() if job.step == step)
        finish(grid, first, 100.0)
    # each of five kinds is to be done twice more
    assert grid_status(grid).seconds_left == 1000
    assert status_report(grid_status(grid)).endswith("time left: 17 min with one job at a time")
    for name in jobs:
        finish(grid, name, 1.0)
    assert status_report(grid_status(grid)).endswith("everything is done")


@pytest.mark.usefixtures("gone")
def test_what_was_done_may_have_to_be_done_again(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    dataset = next(name for name in job_graph(grid) if name.startswith("dataset"))
    finish(grid, "base/PhantomOrgan", 1.0)
    finish(grid, dataset, 1.0)
    assert grid_status(grid).states[dataset] == "done"
    more = write_grid(tmp_path, TINY.replace("repeats: 1", "repeats: 2"))
    assert grid_status(more).states[dataset] == "waiting"
    write(GridFolder(more.folder).failure(dataset), "something")
    assert grid_status(more).states[dataset] == "failed"


def test_what_was_deleted_is_not_done(tmp_path: Path, gone: set[str]) -> None:
    grid = write_grid(tmp_path)
    names = list(job_graph(grid))
    for name in names:
        finish(grid, name, 1.0)
    assert grid_status(grid).of("done") == names
    dataset = next(name for name in names if name.startswith("dataset") and "rho0.2" in name)
    gone.add(dataset.partition("/")[2])
    # it, its plans, and the training, prediction and scores of its repeat
    after = [name for name in names if name.partition("/")[2].startswith(tuple(gone))]
    assert len(after) == 5
    assert grid_status(grid).of("waiting") == after
    assert not status_report(grid_status(grid)).endswith("everything is done")


def test_looking_changes_nothing(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    grid_status(grid)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_last_lines_leave_progress_bars_out(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("a\n10%\r20%\r30%\n\nb\n")
    assert last_lines(file) == ["a", "30%", "b"]
    assert last_lines(tmp_path / "none.txt") == []
    remedy = "error: " + "a/long/path " * 30 + "delete it"
    file.write_text(remedy)
    assert last_lines(file) == [remedy]
