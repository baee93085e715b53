"""Jobs whose work is replaced; the real work is done in test_job_work.py and test_workflow.py."""

import errno
import multiprocessing
import os
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NoReturn

import pytest
from grid_fixtures import write_grid
from tiny import read_json
from waiting import GUARD_S, calling_on_message

from nnunet_sparse.grid import runner
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.job_states import grid_status
from nnunet_sparse.grid.jobs import (
    BaseJob,
    DatasetJob,
    Job,
    PrepareJob,
    TrainJob,
    job_graph,
    jobs_of,
)
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.step_work import Facts, StepWork, Work
from nnunet_sparse.system.errors import SparseError


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    grid = write_grid(tmp_path)
    for name in ("nnUNet_def_n_proc", "OMP_NUM_THREADS", "nnUNet_n_proc_DA", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("nnUNet_extTrainer", "")
    for name, value in grid.paths.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(runner, "work_of", lambda _: Counted())
    return grid


class Counted(StepWork[Job]):
    """Work that is to write a line."""

    def asked(self, work: Work, job: Job) -> Facts:
        assert job.key
        return {"repeats": work.grid.experiment.repeats}

    def is_there(self, work: Work, job: Job) -> bool:
        return _lines(work.grid, job).exists()

    def do(self, work: Work, job: Job) -> Facts:
        with _lines(work.grid, job).open("a", encoding="utf-8") as file:
            file.write("done\n")
        return {"fact": 1}


def use(monkeypatch: pytest.MonkeyPatch, kind: type[Job], work: Counted) -> None:
    """Let jobs of a kind be done in another way."""
    monkeypatch.setattr(runner, "work_of", lambda job: work if isinstance(job, kind) else Counted())


def _lines(grid: Grid, job: Job) -> Path:
    return grid.file.parent / f"{job.key}.txt"


def _count(grid: Grid, job: Job) -> int:
    return len(_lines(grid, job).read_text("utf-8").splitlines())


def base(grid: Grid) -> Job:
    return job_graph(grid)["base/PhantomOrgan"]


def test_a_job_is_done_once(grid: Grid) -> None:
    runner.run_job(grid, base(grid))
    folder = GridFolder(grid.folder)
    record = folder.read("base/PhantomOrgan")
    assert record is not None
    assert (record.facts, record.inputs) == ({"fact": 1}, {})
    runner.run_job(grid, base(grid))
    assert _count(grid, base(grid)) == 1
    assert read_json(folder.done("base/PhantomOrgan")) == {"run": record.run}


@pytest.mark.parametrize(
    ("threads", "device", "loading"),
    [("auto", "cuda", "6"), ("auto", "cpu", "9"), ("7", "cuda", "9"), ("7", "cpu", "9")],
)
def test_processes_that_make_batches(
    grid: Grid, monkeypatch: pytest.MonkeyPatch, threads: str, device: str, loading: str
) -> None:
    """What the user has set stands, but for a GPU's job with ``auto``, which began with it."""
    monkeypatch.setenv("nnUNet_n_proc_DA", "9")
    text = grid.file.read_text("utf-8").replace("threads: 1", f"threads: {threads}")
    text = text.replace("device: cpu", f"device: {device}")
    asked = write_grid(grid.file.parent, text)
    train = jobs_of(job_graph(asked), TrainJob)[0]
    with pytest.raises(SparseError, match="must be done first"):
        runner.run_job(asked, train, 7)
    names = ("nnUNet_n_proc_DA", "nnUNet_def_n_proc")
    assert [os.environ[name] for name in names] == [loading, "7"]


def test_what_snakemake_deletes_is_written_again(grid: Grid) -> None:
    runner.run_job(grid, base(grid))
    done = GridFolder(grid.folder).done("base/PhantomOrgan")
    before = done.read_bytes()
    done.unlink()
    runner.run_job(grid, base(grid))
    assert done.read_bytes() == before
    assert _count(grid, base(grid)) == 1


def test_a_job_is_done_again_where_its_files_are_gone(grid: Grid) -> None:
    runner.run_job(grid, base(grid))
    _lines(grid, base(grid)).rename(grid.file.parent / "moved")
    runner.run_job(grid, base(grid))
    assert _count(grid, base(grid)) == 1


def test_a_job_is_done_again_if_asked_for_something_else(grid: Grid) -> None:
    runner.run_job(grid, base(grid))
    text = grid.file.read_text("utf-8").replace("repeats: 1", "repeats: 2")
    runner.run_job(write_grid(grid.file.parent, text), base(grid))
    assert _count(grid, base(grid)) == 2


def test_jobs_before_must_be_done(grid: Grid) -> None:
    job = next(job for job in job_graph(grid).values() if job.step == "dataset")
    with pytest.raises(SparseError, match="base/PhantomOrgan must be done first"):
        runner.run_job(grid, job)
    assert (
        GridFolder(grid.folder).failure(job.name).read_text("utf-8").startswith("base/PhantomOrgan")
    )
    runner.run_job(grid, base(grid))
    runner.run_job(grid, job)
    assert not GridFolder(grid.folder).failure(job.name).exists()


@pytest.mark.parametrize("follows", [True, False])
def test_some_jobs_follow_those_before_them(
    grid: Grid, monkeypatch: pytest.MonkeyPatch, follows: bool
) -> None:
    class Following(Counted):
        follows_inputs = follows

    use(monkeypatch, DatasetJob, Following())
    job = jobs_of(job_graph(grid), DatasetJob)[0]
    for _ in range(2):
        runner.run_job(grid, base(grid))
        runner.run_job(grid, job)
        GridFolder(grid.folder).record("base/PhantomOrgan").unlink()
    assert _count(grid, job) == (2 if follows else 1)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "[]",
        '{"version": 1}',
        '{"version": 1, "run": "1", "asked": [], "inputs": {}, "seconds": 1, "facts": {}}',
        '{"version": 1, "run": "1", "asked": {}, "inputs": {}, "seconds": "", "facts": {}}',
    ],
)
def test_a_damaged_record_is_a_missing_one(
    grid: Grid, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    runner.run_job(grid, base(grid))
    file = GridFolder(grid.folder).record("base/PhantomOrgan")
    file.write_text(text)
    runner.forget_outdated(grid)
    assert f"{file} is damaged: its job is looked at again" in caplog.text
    assert grid_status(grid).states["base/PhantomOrgan"] == "waiting"
    runner.run_job(grid, base(grid))
    assert _count(grid, base(grid)) == 2
    assert grid_status(grid).states["base/PhantomOrgan"] == "done"


def test_what_is_half_deleted_is_looked_at_again(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HalfDeleted(Counted):
        def is_there(self, *_: object) -> bool:
            raise SparseError("no dataset.json")

    runner.run_job(grid, base(grid))
    use(monkeypatch, BaseJob, HalfDeleted())
    assert grid_status(grid).states["base/PhantomOrgan"] == "waiting"


class UntilAnotherWaits(Counted):
    """Goes on when another process has said that it waits."""

    def __init__(self, waiting: Event) -> None:
        self.waiting = waiting

    def do(self, work: Work, job: Job) -> Facts:
        facts = super().do(work, job)
        assert self.waiting.wait(GUARD_S)
        return facts


def _run_until_another_waits(grid: Grid, waiting: Event) -> None:
    with calling_on_message("is being done by another process", waiting.set):
        runner.run_job(grid, base(grid))


def test_two_processes_do_a_job_once(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("fork")
    waiting = context.Event()
    use(monkeypatch, BaseJob, UntilAnotherWaits(waiting))
    arguments = (grid, waiting)
    processes = [context.Process(target=_run_until_another_waits, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert _count(grid, base(grid)) == 1


def test_snakemake_forgets_what_is_no_longer_asked_for(grid: Grid) -> None:
    runner.run_job(grid, base(grid))
    done = GridFolder(grid.folder).done("base/PhantomOrgan")
    runner.forget_outdated(grid)
    assert done.is_file()
    text = grid.file.read_text("utf-8")
    changed = write_grid(grid.file.parent, text.replace("repeats: 1", "repeats: 2"))
    runner.forget_outdated(changed)
    assert not done.is_file()
    runner.run_job(changed, base(changed))
    _lines(grid, base(grid)).rename(grid.file.parent / "moved")
    runner.forget_outdated(changed)
    assert not done.is_file()


def test_jobs_after_one_that_is_outdated_are_not_looked_at(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their files cannot be found, since where they are is a fact of the job before."""
    jobs = job_graph(grid)
    first, second = jobs_of(jobs, DatasetJob)[0], jobs_of(jobs, PrepareJob)[0]
    for job in (base(grid), first, second):
        runner.run_job(grid, job)

    class After(Counted):
        def is_there(self, work: Work, job: Job) -> bool:
            return bool(job.key and work.folder.read_done(first.name))

    use(monkeypatch, PrepareJob, After())
    GridFolder(grid.folder).record(first.name).unlink()
    runner.forget_outdated(grid)
    assert not GridFolder(grid.folder).done(first.name).is_file()
    assert not GridFolder(grid.folder).done(second.name).is_file()
    assert GridFolder(grid.folder).done("base/PhantomOrgan").is_file()


def test_a_job_is_forgotten_with_those_before_it(grid: Grid) -> None:
    job = next(job for job in job_graph(grid).values() if job.step == "dataset")
    runner.run_job(grid, base(grid))
    runner.run_job(grid, job)
    GridFolder(grid.folder).record("base/PhantomOrgan").unlink()
    runner.forget_outdated(grid)
    assert not GridFolder(grid.folder).done(job.name).is_file()


def test_a_full_disk_does_not_hide_what_failed(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of the file system are told with their file, also where nothing can be noted."""
    job = next(iter(job_graph(grid).values()))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "labels.b2nd")

    def fail(*_: object, **__: object) -> NoReturn:
        raise full

    monkeypatch.setattr(runner, "_run_locked", fail)
    with pytest.raises(OSError, match=r"labels\.b2nd"):
        runner.run_job(grid, job)
    failure = GridFolder(grid.folder).failure(job.name)
    assert failure.read_text("utf-8") == "labels.b2nd: No space left on device\n"
    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match=r"labels\.b2nd"):
        runner.run_job(grid, job)
