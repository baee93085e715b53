import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

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


def test_each_gets_another_one() -> None:
    with gpu_slot():
        assert os.environ[VISIBLE] == "3"
    assert os.environ[VISIBLE] == "3,5"


def _use(queue: Any, seconds: float) -> None:
    with gpu_slot():
        queue.put((os.environ[VISIBLE], "begin", time.monotonic()))
        time.sleep(seconds)
        queue.put((os.environ[VISIBLE], "end", time.monotonic()))


def test_no_gpu_is_used_twice_at_once() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_use, args=(queue, 0.3)) for _ in range(4)]
    for process in processes:
        process.start()
    events = [queue.get(timeout=60) for _ in range(8)]
    for process in processes:
        process.join(60)
    # a free slot may be taken any number of times, but by one process at a time
    for gpu in ("3", "5"):
        kinds = [
            kind for name, kind, _ in sorted(events, key=lambda event: event[2]) if name == gpu
        ]
        assert kinds == ["begin", "end"] * (len(kinds) // 2)
    assert {name for name, *_ in events} <= {"3", "5"}


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
            process = context.Process(target=_use, args=(queue, 0))
            process.start()
            time.sleep(0.5)
            assert queue.empty()
    process.join(60)
    assert queue.get(timeout=60)[0] == "0"
