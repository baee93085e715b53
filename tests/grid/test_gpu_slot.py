import multiprocessing
import os
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from waiting import GUARD_S, calling_on_message

from nnunet_sparse.grid import gpu_slot as module
from nnunet_sparse.grid.gpu_slot import gpu_slot
from nnunet_sparse.system import devices
from nnunet_sparse.system.devices import VISIBLE


@pytest.fixture(autouse=True)
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "3,5")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(module, "_TEMPORARY", tmp_path)
    monkeypatch.setattr(devices, "_count_usable", lambda: 2)
    devices._usable.cache_clear()
    monkeypatch.setattr(module, "_WAIT_S", 0.01)


def test_each_gets_another_one() -> None:
    with gpu_slot():
        assert os.environ[VISIBLE] == "3"
    assert os.environ[VISIBLE] == "3,5"


def _use_together(folder: Path, both: Barrier, queue: "Queue[str]") -> None:
    with gpu_slot():
        gpu = os.environ[VISIBLE]
        holder = folder / gpu
        try:
            holder.touch(exist_ok=False)
        except FileExistsError:
            both.abort()
            raise
        both.wait()
        holder.unlink()
        queue.put(gpu)


def test_no_gpu_is_used_twice_at_once(tmp_path: Path) -> None:
    """Whoever has a GPU keeps it until another process has one as well."""
    (tmp_path / "holders").mkdir()
    context = multiprocessing.get_context("fork")
    both, queue = context.Barrier(2, timeout=GUARD_S), context.Queue()
    arguments = (tmp_path / "holders", both, queue)
    processes = [context.Process(target=_use_together, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(queue.get() for _ in processes) == ["3", "3", "5", "5"]


def _use(queue: "Queue[str]") -> None:
    with calling_on_message("All GPUs are in use", lambda: queue.put("waiting")), gpu_slot():
        queue.put(os.environ[VISIBLE])


def test_slurm_calls_the_gpus_of_every_job_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "0")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with gpu_slot():
        monkeypatch.setenv("SLURM_JOB_ID", "8")
        with gpu_slot():
            assert os.environ[VISIBLE] == "0"
            # another process of the same job waits
            context = multiprocessing.get_context("fork")
            queue = context.Queue()
            process = context.Process(target=_use, args=(queue,))
            process.start()
            assert queue.get(timeout=GUARD_S) == "waiting"
    assert queue.get(timeout=GUARD_S) == "0"
    process.join()
