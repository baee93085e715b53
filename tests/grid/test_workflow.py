"""Whole experiments with Snakemake, undisturbed and killed at random moments."""

import contextlib
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid
from tiny import read_json

from nnunet_sparse.grid.grid_command import main
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.job_states import grid_status
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.grid.open_grid import Grid, open_grid
from nnunet_sparse.grid.workflow import check_snakemake, run_workflow
from nnunet_sparse.report.grid.report_command import main as report_main
from nnunet_sparse.system.locks import try_lock, unlock

TASK = "PhantomOrgan"
NUM_KILLS = int(os.environ.get("NNSPARSE_KILLS", "0"))
FILLED = TINY + "interpolation: {methods: [shape], rho: [0.2], s: [1]}\n"


def command(file: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "nnunet_sparse.grid.grid_command", "run", str(file), *options]


def run(file: Path, *options: str, status: int = 0) -> str:
    """Run an experiment in a process of its own, as Snakemake expects it; returns what it says."""
    done = subprocess.run(
        command(file, *options), capture_output=True, encoding="utf-8", check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == status, said
    return said


def scores(grid: Grid) -> dict[str, object]:
    """Our part of every summary, by training."""
    folder = GridFolder(grid.folder)
    return {
        job.key: read_json(folder.predictions(job.key) / "nnsparse_summary.json")["nnsparse"]
        for job in job_graph(grid).values()
        if job.step == "score"
    }


def checkpoints(grid: Grid) -> dict[str, int]:
    """When each training that is done was finished."""
    files = grid.paths.results.rglob("checkpoint_final.pth")
    return {str(file): file.stat().st_mtime_ns for file in files}


def processes_of(grid: Grid) -> dict[int, str]:
    """Command lines of the processes that have to do with the experiment, but for this one."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            words = command + (folder / "environ").read_bytes()
        except OSError:
            continue
        if str(grid.paths.raw).encode() in words or str(grid.file).encode() in words:
            found[int(folder.name)] = command.decode().replace("\0", " ")
    return found


def parent_of(process: int) -> int:
    try:
        # after the name, which may hold anything but ends with the last bracket
        return int(Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def step_of(process: int) -> str:
    """Step of a job whose process is a fork of the server; of others something else."""
    try:
        return Path(f"/proc/{process}/comm").read_text("utf-8").partition(" ")[0]
    except OSError:
        return ""


def victims(grid: Grid, kind: str) -> list[int]:
    """Processes of a kind that are running.

    The workflow, its server, a training, what stands for one, or a worker of prepare.
    """
    commands = processes_of(grid)
    if kind == "worker":
        return [process for process in commands if step_of(parent_of(process)) == "prepare"]
    if kind == "training":
        return [process for process in commands if step_of(process) == "train"]
    word = {
        "workflow": "grid_command run ",
        "server": "grid.job_process ",
        "client": " train ",
    }[kind]
    # not the shell that has started it
    ours = {p: command for p, command in commands.items() if command.startswith(sys.executable)}
    found = [process for process, command in ours.items() if word in command]
    return [process for process in found if parent_of(process) not in found]


def is_left(grid: Grid, step: str) -> bool:
    """Whether there is a job of a step that has never been done."""
    jobs = [job.name for job in job_graph(grid).values() if job.step == step]
    return not all(GridFolder(grid.folder).record(name).is_file() for name in jobs)


def kill_one(grid: Grid, kind: str, workflow: "subprocess.Popen[bytes]", delay: float) -> bool:
    """Kill a process a while after one of its kind appears; whether there was one."""
    while workflow.poll() is None and (kind != "worker" or is_left(grid, "prepare")):
        if victims(grid, kind):
            time.sleep(delay)
            for process in victims(grid, kind)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    return True
        time.sleep(0.02)
    return False


def ends_like(wild: Grid, calm: Grid, finished: dict[str, int], *options: str) -> None:
    """Run an experiment to its end: what was trained stays, scores are those of the calm one."""
    run(wild.file, *options)
    after = checkpoints(wild)
    assert {file: after[file] for file in finished} == finished
    assert scores(wild) == scores(calm)
    assert not grid_status(wild).of("running", "failed", "stopped", "waiting")
    assert not list(wild.file.parent.rglob(".nnsparse_*/*"))
    assert processes_of(wild) == {}


@pytest.mark.slow
@pytest.mark.skipif(NUM_KILLS == 0, reason="takes minutes: set NNSPARSE_KILLS to their number")
def test_killed_at_random_moments_it_ends_as_if_it_were_not(tmp_path: Path) -> None:
    """One process of those that take part is killed, then the workflow."""
    # two jobs at a time, each with workers
    text = FILLED.replace("repeats: 1", f"repeats: {1 + NUM_KILLS // 4}\ndense: false")
    text = text.replace("threads: 1", "threads: 2").replace("s: [1/2, 1]", "s: [1]")
    cores = ("--cores", "4")

    def fresh(name: str) -> Grid:
        (tmp_path / name).mkdir()
        return write_grid(tmp_path / name, text)

    calm, wild = fresh("calm"), fresh("wild")
    run(calm.file, *cores)
    rng = random.Random(0)
    kinds = ["worker", "workflow", "training", "server", "client"]
    finished: dict[str, int] = {}
    killed = Counter[str]()
    for attempt in range(3 * NUM_KILLS + 1):
        if killed.total() == NUM_KILLS:
            break
        kind = kinds[killed.total() % len(kinds)]
        # workers live a second, trainings several
        delay = rng.uniform(0, 0.3 if kind == "worker" else 6)
        with subprocess.Popen(
            command(wild.file, *cores), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as workflow:
            if kill_one(wild, kind, workflow, delay):
                killed[kind] += 1
                # other jobs have gone on, and outlive the workflow
                time.sleep(rng.uniform(0, 5))
            elif kind == "worker":
                # everything is prepared
                kinds.remove(kind)
            workflow.kill()
        for file, moment in finished.items():
            assert checkpoints(wild).get(file) == moment, "trained twice"
        finished = checkpoints(wild)
        if len(finished) == len(checkpoints(calm)):
            # nothing is left to be killed
            ends_like(wild, calm, finished, *cores)
            wild, finished = fresh(f"wild{attempt}"), {}
    print(f"killed: {dict(killed)}; trainings done by then: {len(finished)}")
    assert killed.total() == NUM_KILLS
    ends_like(wild, calm, finished, *cores)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("NNSPARSE_QUICK"), reason="takes minutes: NNSPARSE_QUICK=1")
def test_quick_from_end_to_end(no_paths: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing but the preset is there, and the report lacks nothing."""
    assert main(["init", "--preset", "quick", "-o", "quick.yaml"]) == 0
    assert "everything is done; next: nnsparse_report quick.yaml" in run(Path("quick.yaml"))
    capfd.readouterr()
    assert report_main(["quick.yaml"]) == 0
    assert "22 of 22 trainings" in capfd.readouterr().out
    report = no_paths / "quick" / "report"
    figures = {path.stem for path in (report / "figures").glob("*.svg")}
    assert figures == {"figure1", "figure2", "figure4", "figure5", "cells2"}
    for table in ("table2", "table4", "table5", "findings", "selectors"):
        with (report / "tables" / f"{table}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert all(value for row in rows for value in row.values()), table
    page = (report / "report.html").read_text("utf-8")
    volumes = json.loads(re.findall(r'id="volumes">(.*?)</script>', page)[0])
    names = {name for volume in volumes for name, _ in volume["layers"]}
    assert {"truth", "dense"} < names
    assert any(name.startswith("annotation: random") for name in names)
    assert any(name.startswith("random") for name in names)


@pytest.mark.slow
def test_a_job_that_fails_is_told_and_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = TINY.replace("selectors: [fixed]", "selectors: [random]").replace("s: [1/2, 1]", "s: 1")
    folder = tmp_path / "co: lon #1"
    folder.mkdir()
    grid = write_grid(folder, text)
    first = next(job for job in job_graph(grid).values() if job.step == "dataset")
    grid.paths.make_folders()
    # another data set has the name of the random one, and the same base
    other = f"Dataset900_{first.key.replace('rho1.000', 'rho0.200').replace('fixed', 'random')}"
    (grid.paths.raw / other).mkdir()
    selection = '{"base": "Dataset500_PhantomOrgan"}'
    (grid.paths.raw / other / "selection.json").write_text(selection)
    assert "error: not everything is done" in run(grid.file, status=2)
    status = grid_status(grid)
    assert status.of("failed") == [f"dataset/{other.partition('_')[2]}"]
    assert f"score/{first.key}" in {name.partition("__")[0] for name in status.of("done")}
    main(["status", str(grid.file)])
    assert f"failed: dataset/{other.partition('_')[2]}\n  error: " in capfd.readouterr().out
    # once it is out of the way, the rest is done
    shutil.rmtree(grid.paths.raw / other)
    run(grid.file)
    assert not grid_status(grid).of("failed", "stopped", "waiting", "running")
    check_report(grid)
    # further repeats are added to what is there
    before = checkpoints(grid)
    text = text.replace("repeats: 1", "repeats: 2").replace("threads: 1", "threads: auto")
    more = write_grid(folder, text)
    run(more.file)
    after = checkpoints(more)
    assert len(after) == 2 * len(before)
    assert {file: after[file] for file in before} == before


@pytest.mark.slow
def test_braces_in_paths(tmp_path: Path) -> None:
    """Snakemake takes braces for wildcards, of jobs and of its own lock."""
    folder = tmp_path / "a {b} {wildcards.key} {{ {1} 'z'"
    folder.mkdir()
    grid = write_grid(folder, TINY.replace("nnunet: nnunet", "nnunet: 'n{n}'"), "{x.yaml")
    run(grid.file, "--until", "dataset")
    jobs = [job.name for job in job_graph(grid).values() if job.step in {"base", "dataset"}]
    assert sorted(grid_status(grid).of("done")) == sorted(jobs)


def check_report(grid: Grid) -> None:
    """Everything that is made of the results of an experiment."""
    cost = grid.file.parent / "cost.yaml"
    cost.write_text("seconds_per_slice: 60\nseconds_per_empty_slice: 6\n")
    assert report_main([str(grid.file), "--cost", str(cost), "-np", "1"]) == 0
    folder = grid.folder / "report"
    with (folder / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    jobs = [job for job in job_graph(grid).values() if job.step == "score"]
    assert len(rows) == len(jobs)  # one label
    row = next(row for row in rows if row["kind"] == "sparse")
    assert (row["rho"], row["s"], row["label"], row["task"]) == ("0.2", "1.0", "breast", TASK)
    assert row["num_slices"] == "15"  # 3 of 16 slices of 5 volumes
    assert 0 <= float(row["batched_IoU"]) <= 1
    assert len(row["selection"]) == 16
    assert float(row["training_s"]) > 0
    page = (folder / "report.html").read_text("utf-8")
    assert "://" not in page
    for name in ("figure1", "figure2", "figure5", "hours2"):
        for form in ("svg", "pdf", "png"):
            assert (folder / "figures" / f"{name}.{form}").stat().st_size > 1000
    names = {path.stem for path in (folder / "tables").glob("*.tex")}
    assert {"findings", "table2", "selectors", "area", "metrics", "hours"} <= names
    with (folder / "tables" / "hours.csv").open(encoding="utf-8") as file:
        (hours,) = list(csv.DictReader(file))
    assert 15 * 6 / 3600 - 0.01 <= float(hours["hours"]) <= 15 * 60 / 3600 + 0.01


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        (["--cores", "16"], "7 2"),  # two GPUs
        (["--cores", "16", "--resources", "gpu=1"], "13 3"),
        (["-j", "4"], "2 1"),
        (["--executor", "slurm", "--jobs", "100"], "13 2"),
    ],
)
def test_cores_that_snakemake_may_use_are_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], threads: str
) -> None:
    monkeypatch.setenv("NNSPARSE_GRID_THREADS", "")
    limits: list[bool] = []
    shared: list[bool] = []

    def snakemake(_: object, limited: bool = True) -> int:
        limits.append(limited)
        shared.append(bool(os.environ["NNSPARSE_GRID_SERVERS"]))
        return 0

    monkeypatch.setattr("nnunet_sparse.grid.workflow._snakemake", snakemake)
    for module in ("job_threads", "workflow"):
        monkeypatch.setattr(f"nnunet_sparse.grid.{module}.usable_gpus", lambda: ("0", "1"))
    monkeypatch.setattr("nnunet_sparse.grid.job_threads.num_loading", lambda: 12)
    text = TINY.replace("threads: 1", "threads: auto").replace("device: cpu", "device: auto")
    assert run_workflow(write_grid(tmp_path, text), options) == 0
    assert os.environ["NNSPARSE_GRID_THREADS"] == threads
    assert limits == ["--executor" in options]  # jobs per second; of this machine there is none
    assert shared == ["--executor" not in options]  # processes


@pytest.mark.parametrize(
    ("options", "handed"),
    [
        ([], ["--resources", "gpu=6"]),
        (["--resources", "gpu=1", "mem_mb=100"], ["--resources", "gpu=3", "mem_mb=100"]),
        (["--executor", "slurm", "--jobs", "9"], ["--group-components", "training=3"]),
    ],
)
def test_snakemake_starts_as_many_as_share_the_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], handed: list[str]
) -> None:
    given: list[list[str]] = []
    monkeypatch.setenv("NNSPARSE_GRID_THREADS", "")
    monkeypatch.setattr(
        "nnunet_sparse.grid.workflow._snakemake", lambda words, _: given.append(words) or 0
    )
    for module in ("job_threads", "workflow"):
        monkeypatch.setattr(f"nnunet_sparse.grid.{module}.usable_gpus", lambda: ("0", "1"))
    text = TINY.replace("device: cpu", "device: auto\ntrainings_per_gpu: 3")
    assert run_workflow(write_grid(tmp_path, text), options) == 0
    assert given[0][-len(handed) :] == handed
    assert os.environ["NNSPARSE_GRID_PACKED"] == str(int("--executor" in options))
    assert run_workflow(write_grid(tmp_path, TINY.replace("cpu", "auto"), "one.yaml"), []) == 0
    assert not {"--group-components", "gpu=6"} & set(given[1])


def test_one_run_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = write_grid(tmp_path)
    grid.folder.mkdir()
    lock = try_lock(grid.folder / "run.lock")
    assert lock is not None
    assert main(["run", str(grid.file)]) == 2
    unlock(lock)
    assert "tiny.yaml is being run by another process" in capsys.readouterr().err


def test_without_snakemake(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnunet_sparse.system.errors import SparseError

    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SparseError, match=r'pip install "nnunet-sparse\[grid\]"'):
        check_snakemake()


def test_unknown_options_are_snakemakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = []
    monkeypatch.setattr(
        "nnunet_sparse.grid.workflow._snakemake", lambda words, _: given.append(words) or 0
    )
    grid = write_grid(tmp_path)
    assert main(["run", str(grid.file), "--cores", "3", "--retries=2"]) == 0
    assert given[0][-3:] == ["--cores", "3", "--retries=2"]
    assert given[0].count("--cores") == 1
    assert main(["run", "--cores", "3", str(grid.file)]) == 2
    assert (
        "the experiment file comes first, then options of Snakemake: nnsparse_grid run "
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit) as end:
        main(["status", str(grid.file), "--cores", "3"])
    assert end.value.code == 2
    assert "unrecognized arguments: --cores 3" in capsys.readouterr().err
    assert run_workflow(open_grid(grid.file), []) == 0
    assert "--cores" in given[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cores", "0"], "--cores must be a whole number of at least 1, or all, got 0"),
        (["-c", "two"], "Error parsing number of cores"),
        (["--jobs=-1"], "--jobs must be a whole number of at least 1, or unlimited, got -1"),
        (["--bogus"], "unrecognized arguments: --bogus (options of Snakemake)"),
        (["--retries", "x"], "argument --retries"),
    ],
)
def test_options_that_snakemake_cannot_run_with(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    grid = write_grid(tmp_path)
    assert main(["run", str(grid.file), *options]) == 2
    said = capfd.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(f"error: {message}")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_an_error_of_snakemake_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nnunet_sparse.grid.workflow._snakemake", lambda *_: 1)
    assert main(["run", str(write_grid(tmp_path).file)]) == 2
    assert "error: Snakemake ended with an error" in capsys.readouterr().err
