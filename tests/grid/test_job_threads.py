from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid import job_threads as module
from nnunet_sparse.grid.experiment import Experiment
from nnunet_sparse.grid.job_threads import (
    JobThreads,
    handed_threads,
    job_threads,
    job_threads_on_cluster,
    thread_lines,
)
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.system.errors import SparseError


@pytest.fixture(autouse=True)
def twelve(monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net's number on a large machine."""
    monkeypatch.setattr(module, "_num_loading", lambda: 12)


def experiment(folder: Path, threads: str, device: str = "auto") -> Experiment:
    text = TINY.replace("threads: 1", f"threads: {threads}")
    return write_grid(folder, text.replace("device: cpu", f"device: {device}")).experiment


@pytest.mark.parametrize(
    ("cores", "gpus", "on_gpu", "others"),
    [
        (32, 1, 13, 13),  # nnU-Net's 12 and the job itself
        (16, 1, 13, 3),
        (13, 1, 12, 1),  # one is left for jobs that need no GPU
        (8, 1, 7, 1),
        (16, 4, 3, 3),
        (64, 4, 13, 12),
        (4, 2, 2, 1),  # too few for that
        (2, 1, 2, 1),
        (1, 1, 1, 1),
        (2, 4, 1, 1),
        (16, 0, 2, 2),
        (1, 0, 1, 1),
    ],
)
def test_cores_worked_by_hand(
    tmp_path: Path, cores: int, gpus: int, on_gpu: int, others: int
) -> None:
    chosen = job_threads(experiment(tmp_path, "auto"), cores, gpus)
    assert (chosen.on_gpu, chosen.others) == (on_gpu, others)
    assert gpus * on_gpu <= cores or on_gpu == 1


def test_numbers_are_taken_as_they_are(tmp_path: Path) -> None:
    asked = experiment(tmp_path, "5")
    assert job_threads(asked, 2, 1) == job_threads_on_cluster(asked) == JobThreads(5, 5)
    assert thread_lines(asked) == []


def test_a_cluster_gives_each_job_cores_of_its_own(tmp_path: Path) -> None:
    asked = experiment(tmp_path, "auto")
    assert job_threads_on_cluster(asked) == JobThreads(13, 2)
    assert job_threads_on_cluster(experiment(tmp_path, "auto", "cpu")) == JobThreads(2, 2)


def test_trainings_use_the_gpu_and_data_sets_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NNSPARSE_GRID_THREADS", "")
    JobThreads(13, 3).hand_over()
    threads = handed_threads()
    of_steps = {job.step: threads.of(job) for job in job_graph(write_grid(tmp_path)).values()}
    assert of_steps == {
        "base": 3,
        "dataset": 3,
        "prepare": 3,
        "train": 13,
        "predict": 13,
        "score": 3,
    }


def test_what_plan_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "default_cores", lambda: 8)
    monkeypatch.setattr(module, "usable_gpus", lambda: ("0",))
    assert thread_lines(experiment(tmp_path, "auto")) == [
        "threads: 7 cores for each job on a GPU, 6 of which make batches (nnU-Net's number is "
        "12), 1 for each other job; of 8 cores and 1 GPU"
    ]
    assert thread_lines(experiment(tmp_path, "auto", "cpu")) == [
        "threads: 2 cores for each job, of 8; no GPU is to be fed"
    ]


@pytest.mark.parametrize("threads", ["0", "1.5", "-1", "true", "Auto", "many"])
def test_what_is_no_number_of_cores(tmp_path: Path, threads: str) -> None:
    with pytest.raises(
        SparseError, match="line 13: threads must be a whole number of at least 1, "
    ):
        experiment(tmp_path, threads)
