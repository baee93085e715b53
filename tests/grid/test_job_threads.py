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
    most_per_gpu,
    packed_on_cluster,
    thread_lines,
)
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.system.errors import SparseError


@pytest.fixture(autouse=True)
def twelve(monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net's number on a large machine."""
    monkeypatch.setattr(module, "num_loading", lambda: 12)


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


@pytest.mark.parametrize(
    ("asked", "cores", "gpus", "most", "on_gpu", "others"),
    [
        ("1", 16, 1, 1, 13, 3),
        ("2", 16, 1, 2, 7, 2),
        ("4", 16, 1, 4, 3, 3),
        ("auto", 16, 1, 4, 3, 3),
        ("auto", 64, 4, 4, 3, 3),
        ("auto", 128, 1, 8, 13, 13),
        ("auto", 6, 1, 1, 5, 1),
        ("auto", 2, 1, 1, 2, 1),
        ("16", 2, 1, 16, 1, 1),
    ],
)
def test_cores_of_trainings_that_share_a_gpu(
    tmp_path: Path, asked: str, cores: int, gpus: int, most: int, on_gpu: int, others: int
) -> None:
    shared = experiment(tmp_path, f"auto\ntrainings_per_gpu: {asked}")
    assert most_per_gpu(shared, gpus, cores) == most
    chosen = job_threads(shared, cores, gpus)
    assert (chosen.on_gpu, chosen.others) == (on_gpu, others)


@pytest.mark.parametrize(
    ("asked", "packed", "on_gpu"), [("1", 1, 13), ("2", 2, 7), ("auto", 4, 4), ("9", 9, 2)]
)
def test_cores_of_trainings_that_ask_a_cluster_together(
    tmp_path: Path, asked: str, packed: int, on_gpu: int
) -> None:
    shared = experiment(tmp_path, f"auto\ntrainings_per_gpu: {asked}")
    assert packed_on_cluster(shared) == packed
    assert job_threads_on_cluster(shared) == JobThreads(on_gpu, 2)
    on_cpu = experiment(tmp_path, f"auto\ntrainings_per_gpu: {asked}", "cpu")
    assert packed_on_cluster(on_cpu) == 1


@pytest.mark.parametrize("asked", ["0", "17", "-1", "1.5", "many", "[2]"])
def test_numbers_of_trainings_that_are_none(tmp_path: Path, asked: str) -> None:
    with pytest.raises(SparseError, match=r"trainings_per_gpu.* whole number from 1 to 16"):
        experiment(tmp_path, f"auto\ntrainings_per_gpu: {asked}")


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


def test_plan_says_how_many_share_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "default_cores", lambda: 16)
    monkeypatch.setattr(module, "usable_gpus", lambda: ("0",))
    for asked, said in (("auto", "up to 4"), ("3", "3")):
        (line,) = thread_lines(experiment(tmp_path, f"auto\ntrainings_per_gpu: {asked}"))
        assert line.endswith(f"of 16 cores and 1 GPU, on which {said} train at once")
