"""The real scheduling of jobs on a GPU that is pretended: it has memory, and says how much is used.

What is pretended is ``nvidia-smi`` and the memory that trainings take, which ends where the GPU's
does; no GPU is needed.
"""

import json
import multiprocessing
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid
from waiting import GUARD_S, wait_for

from nnunet_sparse.grid import gpu_slot, job_threads, shared_gpu
from nnunet_sparse.grid.gpu_slot import ALONE, GpuShare
from nnunet_sparse.grid.jobs import FeaturesJob, TrainingJob, TrainJob, job_graph
from nnunet_sparse.grid.shared_gpu import GpuNeed, GpuNeeds, done_on_gpu, is_out_of_memory
from nnunet_sparse.grid.step_work import Work
from nnunet_sparse.grid.train_work import training_folder
from nnunet_sparse.system import devices
from nnunet_sparse.system.devices import VISIBLE
from nnunet_sparse.system.locks import locked

_FORK = multiprocessing.get_context("fork")
_TOTAL = 1000
_SMI = """\
#!{python}
import json, pathlib
folder = pathlib.Path({folder!r})
if (folder / "dumb").exists():
    (folder / "dumb").unlink()
    raise SystemExit("it does not tell now")
held = []
for file in folder.glob("*.json"):
    try:
        held.append(json.loads(file.read_text()))
    except FileNotFoundError:
        pass
used, busy = (sum(each[name] for each in held) for name in ("used", "busy"))
print(f"Pretended GPU, {total}, {{used}}, {{min(100, busy)}}")
"""


@dataclass
class PretendedGpu:
    """A GPU whose memory can run out; each process has one file that tells what it has taken."""

    folder: Path

    @contextmanager
    def memory(self, used: int, busy: int) -> Iterator[Callable[[int], None]]:
        """Take memory, and more of it on request."""
        file = self.folder / f"{os.getpid()}.json"

        def take(used: int) -> None:
            with locked(self.folder / "allocator.lock"):
                others = [f for f in self.folder.glob("*.json") if f != file]
                if used + sum(json.loads(f.read_text())["used"] for f in others) > _TOTAL:
                    raise RuntimeError("CUDA error: out of memory")
                new = file.with_suffix(".new")
                new.write_text(json.dumps({"used": used, "busy": busy}))
                new.replace(file)

        try:
            take(used)
            yield take
        finally:
            with locked(self.folder / "allocator.lock"):
                file.unlink(missing_ok=True)


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretendedGpu:
    folder = tmp_path / "gpu"
    folder.mkdir()
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    text = _SMI.format(python=f"{sys.executable} -SE", folder=str(folder), total=_TOTAL)
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv(VISIBLE, "0")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(gpu_slot, "_TEMPORARY", tmp_path / "locks")
    monkeypatch.setattr(gpu_slot, "_WAIT_S", 0.01)
    monkeypatch.setattr(shared_gpu, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(devices, "_count_usable", lambda: 1)
    monkeypatch.setattr(job_threads, "default_cores", lambda: 16)
    monkeypatch.setattr(job_threads, "num_loading", lambda: 12)
    monkeypatch.setattr(shared_gpu, "num_loading", lambda: 12)
    devices._usable.cache_clear()
    return PretendedGpu(folder)


def work_of(folder: Path, trainings_per_gpu: str, repeats: int = 6) -> tuple[Work, list[TrainJob]]:
    """Trainings that are alike, on a GPU."""
    text = TINY.replace("device: cpu", f"device: cuda\ntrainings_per_gpu: {trainings_per_gpu}")
    text = text.replace("threads: 1", "threads: auto").replace("[1/2, 1]", "[1]")
    grid = write_grid(folder, text.replace("repeats: 1", f"repeats: {repeats}") + "dense: false\n")
    jobs = [job for job in job_graph(grid).values() if isinstance(job, TrainJob)]
    assert len(jobs) == repeats
    return Work(grid, 3), jobs


def log_epochs(work: Work, job: TrainingJob, number: int) -> None:
    """What nnU-Net logs of epochs."""
    folder = training_folder(work.grid, job.subject)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "training_log_2026.txt").open("a") as log:
        log.write("Epoch time: 1.0 s\n" * number)


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where trainings are, without data sets."""
    monkeypatch.setattr(
        shared_gpu, "training_folder", lambda _, training: tmp_path / "folds" / training.key
    )
    monkeypatch.setitem(globals(), "training_folder", shared_gpu.training_folder)


def in_processes(tasks: list[Callable[[], None]]) -> list[int | None]:
    """Exit statuses of processes, each of which does one thing."""
    processes = [_FORK.Process(target=task) for task in tasks]
    for process in processes:
        process.start()
    for process in processes:
        process.join(GUARD_S)
    return [process.exitcode for process in processes]


@pytest.mark.usefixtures("folders")
def test_trainings_join_once_it_is_known_what_they_take(tmp_path: Path, gpu: PretendedGpu) -> None:
    """Three of 300 MiB have room in 900 of 1000; the first is alone until it was looked at."""
    work, jobs = work_of(tmp_path, "auto")
    needs = GpuNeeds.of(work, jobs[0])
    together = _FORK.Barrier(3, timeout=GUARD_S)
    loading = _FORK.Queue()

    def train(job: TrainJob) -> None:
        with gpu.memory(300, 20):
            if not needs.file.exists():
                assert len(list(gpu.folder.glob("*.json"))) == 1
                log_epochs(work, job, 1)
                log_epochs(work, job, 1)
                wait_for(needs.file)
            together.wait()
            loading.put(os.environ.get("nnUNet_n_proc_DA"))

    tasks = [lambda job=job: done_on_gpu(work, job, lambda: train(job)) for job in jobs]
    assert in_processes(tasks) == [0] * 6
    assert needs.read("Pretended GPU") == GpuNeed(0.3, 0.2)
    # of 3 cores for each of 4 that may be there; three are
    said = [loading.get() for _ in jobs]
    assert said.count("3") >= 3
    assert set(said) <= {"3", os.environ.get("nnUNet_n_proc_DA")}


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("trainings_per_gpu", ["3", "auto"])
def test_where_memory_runs_out_trainings_go_on_alone(
    tmp_path: Path, gpu: PretendedGpu, trainings_per_gpu: str
) -> None:
    """They grow when nobody looks any more; what had been trained is not trained again."""
    work, jobs = work_of(tmp_path, trainings_per_gpu, repeats=3)
    needs = GpuNeeds.of(work, jobs[0])
    together = _FORK.Barrier(3, timeout=GUARD_S)
    trained = _FORK.Queue()

    def train(job: TrainJob) -> None:
        checkpoint = tmp_path / f"{job.key}.checkpoint"
        with gpu.memory(300, 20) as take:
            if not checkpoint.exists():
                trained.put(job.key)
                log_epochs(work, job, 2)
                if trainings_per_gpu == "auto":
                    wait_for(needs.file)
                checkpoint.touch()
                together.wait()
            take(800)

    tasks = [lambda job=job: done_on_gpu(work, job, lambda: train(job)) for job in jobs]
    assert in_processes(tasks) == [0] * 3
    assert sorted(trained.get() for _ in jobs) == sorted(job.key for job in jobs)
    needed = needs.read("Pretended GPU")
    assert needed is not None
    assert needed.alone
    assert needed.share(4) == ALONE


@pytest.mark.usefixtures("folders")
def test_an_error_of_another_kind_is_not_tried_again(tmp_path: Path, gpu: PretendedGpu) -> None:
    work, (job, *_) = work_of(tmp_path, "2")
    calls = []

    def fail() -> None:
        calls.append(os.environ[VISIBLE])
        raise RuntimeError("the loss is no number")

    with pytest.raises(RuntimeError, match="no number"):
        done_on_gpu(work, job, fail)
    assert calls == ["0"]
    # what has no room alone has none

    def take_all() -> None:
        calls.append("all")
        with gpu.memory(_TOTAL + 1, 0):
            pass

    GpuNeeds.of(work, job).write("Pretended GPU", GpuNeed(0.5, 0.5, alone=True))
    with pytest.raises(RuntimeError, match="out of memory"):
        done_on_gpu(work, job, take_all)
    assert calls == ["0", "all"]


@pytest.mark.usefixtures("folders")
def test_a_short_training_leaves_nothing_that_is_half_known(
    tmp_path: Path, gpu: PretendedGpu
) -> None:
    """After one epoch nothing is known, and the next one is alone again."""
    work, (job, *_) = work_of(tmp_path, "auto")

    def train() -> str:
        with gpu.memory(300, 20):
            log_epochs(work, job, 1)
            return "done"

    assert done_on_gpu(work, job, train) == "done"
    assert GpuNeeds.of(work, job).read("Pretended GPU") is None


@pytest.mark.usefixtures("folders")
def test_a_gpu_that_does_not_tell_at_first_is_shared_when_it_does(
    tmp_path: Path, gpu: PretendedGpu
) -> None:
    work, (job, *_) = work_of(tmp_path, "auto")
    GpuNeeds.of(work, job).write("Pretended GPU", GpuNeed(0.1, 0.1))
    asked = shared_gpu._Shared(work, job, 4)
    with gpu_slot.gpu_slot(lambda _: GpuShare(0.1, 0.1, 4)):
        (gpu.folder / "dumb").touch()
        assert asked.done(lambda: "done") == "done"
    assert not (gpu.folder / "dumb").exists()


@pytest.mark.usefixtures("gpu", "folders")
def test_a_gpu_that_does_not_tell_is_not_shared_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of GPUs (MIG) tell nothing."""
    monkeypatch.setattr(shared_gpu, "gpu_state", lambda _: None)
    work, (job, *_) = work_of(tmp_path, "auto")
    held: list[GpuShare | None] = []

    def train() -> None:
        held.extend(gpu_slot._places(gpu_slot._lock_folder(), "0").values())

    done_on_gpu(work, job, train)
    assert held[0] == ALONE


@pytest.mark.usefixtures("gpu")
def test_jobs_that_train_nothing_here_are_alone(tmp_path: Path) -> None:
    work, (job, *_) = work_of(tmp_path, "4")
    features = FeaturesJob((), job.subject.of)
    held: list[GpuShare | None] = []

    def look() -> None:
        held.append(next(iter(gpu_slot._places(gpu_slot._lock_folder(), "0").values())))

    done_on_gpu(work, features, look)
    done_on_gpu(work, job, look)
    assert held == [ALONE, GpuShare.one_of(4)]


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
        (MemoryError(), False),
    ],
)
def test_what_says_that_memory_ran_out(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) == is_one


def test_what_torch_raises() -> None:
    import torch

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
