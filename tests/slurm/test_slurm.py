"""Grids on a real SLURM of one node with two pretended GPUs; ``make test-slurm``."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid
from slurm.cluster import obstacle, slurm

from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.job_states import grid_status
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.grid.open_grid import Grid

REASON = "set NNSPARSE_SLURM" if not os.environ.get("NNSPARSE_SLURM") else obstacle()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]

OPTIONS = shlex.split(
    "--executor slurm --jobs 4 --slurm-no-account --slurm-status-command squeue "
    "--slurm-init-seconds-before-status-checks 5 "
    "--default-resources slurm_partition=gpu mem_mb=2000 runtime=30"
)
ONE = TINY.replace("s: [1/2, 1]", "s: [1]") + "dense: false\n"
NUM_EPOCHS = 40
LONG = ONE.replace("num_epochs: 3", f"num_epochs: {NUM_EPOCHS}").replace(
    "num_iterations_per_epoch: 2", "num_iterations_per_epoch: 60"
)


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    # sockets have short paths
    folder = Path(tempfile.mkdtemp(prefix="sl", dir="/tmp"))
    try:
        with slurm(folder) as variables:
            yield variables
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(grid: Grid, environment: dict[str, str], *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nnunet_sparse.grid.grid_command", "run", str(grid.file)]
    log = (grid.file.parent / "run.txt").open("ab")
    return subprocess.Popen(
        [*command, *OPTIONS, *more], env=environment, stdout=log, stderr=subprocess.STDOUT
    )


def finish(grid: Grid, environment: dict[str, str], *more: str) -> None:
    assert start(grid, environment, *more).wait() == 0, (grid.file.parent / "run.txt").read_text(
        "utf-8"
    )
    assert not grid_status(grid).of("running", "failed", "stopped", "waiting")


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.5)


def epochs(grid: Grid) -> Counter[str]:
    """How often each epoch of the training was begun."""
    logs = grid.paths.results.rglob("training_log_*.txt")
    return Counter(
        n for log in logs for n in re.findall(r"Epoch (\d+) *\n", log.read_text("utf-8"))
    )


def test_each_training_has_its_gpu(tmp_path: Path, environment: dict[str, str]) -> None:
    grid = write_grid(tmp_path, ONE.replace("repeats: 1", "repeats: 2"))
    # there is none that could train, so that the experiment itself asks for none
    finish(grid, environment, "--set-resources", "train:gpu=1")
    folder = GridFolder(grid.folder)
    records = [folder.read(name) for name, job in job_graph(grid).items() if job.step == "train"]
    # they ran side by side
    assert sorted(str(record.facts["gpus"]) for record in records if record) == ["0", "1"]


def test_a_cancelled_job_continues(tmp_path: Path, environment: dict[str, str]) -> None:
    grid = write_grid(tmp_path, LONG)
    run = start(grid, environment)
    wait_for(lambda: [*grid.paths.results.rglob("checkpoint_latest.pth")])
    subprocess.run(["scancel", "--user=root"], env=environment, check=True)
    assert run.wait() == 2
    assert len(grid_status(grid).of("stopped", "failed")) == 1
    begun = epochs(grid)
    assert 1 <= len(begun) < NUM_EPOCHS
    finish(grid, environment)
    after = epochs(grid)
    assert len(after) == NUM_EPOCHS
    # the epoch that was interrupted is the only one that is repeated
    assert sum(after.values()) <= NUM_EPOCHS + 1


def test_a_job_that_reaches_its_time_limit_continues(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    # a minute is the least that SLURM can be asked for
    grid = write_grid(tmp_path, LONG.replace(f"num_epochs: {NUM_EPOCHS}", "num_epochs: 1000"))
    run = start(grid, environment, "--set-resources", "train:runtime=1")
    assert run.wait() == 2
    text = subprocess.run(
        ["scontrol", "show", "job"],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    assert "JobState=TIMEOUT" in text
    done = len(epochs(grid))
    assert 1 <= done < 1000
    again = start(grid, environment)
    wait_for(lambda: len(epochs(grid)) > done + 2)
    subprocess.run(["scancel", "--user=root"], env=environment, check=True)
    again.wait()
    after = epochs(grid)
    assert after["0"] == 1, "it began anew"


def test_trainings_ask_for_one_gpu_together(tmp_path: Path, environment: dict[str, str]) -> None:
    text = ONE.replace("repeats: 1", "repeats: 4").replace(
        "device: cpu", "device: auto\ntrainings_per_gpu: 2"
    )
    grid = write_grid(tmp_path, text)
    finish(grid, environment)
    said = subprocess.run(
        ["scontrol", "show", "job"],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    jobs = [job for job in said.split("\n\n") if f"WorkDir={grid.folder}" in job]
    of_trainings = [job for job in jobs if "Comment=rule_training" in job]
    assert len(of_trainings) == 2
    for job in of_trainings:
        assert "NumCPUs=2" in job
        assert re.search(r"TresPer\w+=gres[:/]gpu:1\b", job)
