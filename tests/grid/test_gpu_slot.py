import multiprocessing
import os
import signal
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import GUARD_S, calling_on_message

from nnunet_sparse.grid import gpu_slot as module
from nnunet_sparse.grid.experiment import MOST_PER_GPU
from nnunet_sparse.grid.gpu_slot import ALONE, GpuShare, fit_together, gpu_slot
from nnunet_sparse.system import devices
from nnunet_sparse.system.devices import VISIBLE
from nnunet_sparse.system.locks import unlock


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


_SHARE = st.builds(GpuShare, st.floats(0, 1), st.floats(0, 1), st.integers(1, MOST_PER_GPU))


@given(shares=st.lists(_SHARE, min_size=2, max_size=6))
def test_who_has_room_together_has_room_in_any_order_and_without_some(
    shares: list[GpuShare],
) -> None:
    if not fit_together(shares):
        return
    assert fit_together(shares[::-1])
    assert fit_together(shares[1:])
    assert len(shares) <= min(share.most for share in shares)
    assert sum(share.memory for share in shares) < 0.91


@given(share=_SHARE)
def test_number_of_those_that_are_alike(share: GpuShare) -> None:
    assert fit_together([share] * share.num_fitting)
    assert share.num_fitting == share.most or not fit_together([share] * (share.num_fitting + 1))


@pytest.mark.parametrize("number", range(1, MOST_PER_GPU + 1))
def test_as_many_as_were_asked_for_have_room(number: int) -> None:
    assert GpuShare.one_of(number).num_fitting == number


def taken(shares: dict[str, GpuShare], reserved: str | None = None) -> module.GpuClaim | None:
    return module._taken([*shares], shares.__getitem__, module._lock_folder(), reserved)


def test_several_share_a_gpu_and_the_emptier_one_is_taken() -> None:
    shares = dict.fromkeys(("3", "5"), GpuShare(0.3, 0.1, 4))
    module._lock_folder().mkdir()
    claims = [taken(shares) for _ in range(7)]
    assert [claim and claim.gpu for claim in claims] == [*["3", "5"] * 3, None]
    assert claims[0] is not None
    claims[0].change(GpuShare(0.01, 0.1, 4))
    assert taken(shares) is None
    claims.append(taken({"3": GpuShare(0.2, 0.1, 4)}))
    assert claims[-1] is not None
    for claim in claims:
        if claim is not None:
            claim._leave()


def test_nobody_joins_where_somebody_waits_to_be_alone() -> None:
    folder = module._lock_folder()
    with gpu_slot(lambda _: GpuShare(0.1, 0.1, 4)):
        reserved = module._reserved(["3"], folder)
        assert reserved is not None
        assert module._reserved(["3"], folder) is None
        shares = {"3": GpuShare(0.1, 0.1, 4)}
        assert taken(shares) is None
        # not even who waits, before the others have left
        assert taken({"3": ALONE}, "3") is None
        unlock(reserved[1])
        claim = taken(shares)
        assert claim is not None
        claim._leave()


def _hold_for_ever(queue: "Queue[str]") -> None:
    with gpu_slot(lambda _: GpuShare(0.6, 0.1, 4)) as claim:
        assert claim is not None
        queue.put(claim.gpu)
        signal.pause()  # is killed here


def test_a_place_ends_with_its_process() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_hold_for_ever, args=(queue,))
    process.start()
    assert queue.get(timeout=GUARD_S) == "3"
    shares = {"3": GpuShare(0.6, 0.1, 4)}
    assert taken(shares) is None
    process.kill()
    process.join()
    claim = taken(shares)
    assert claim is not None
    claim._leave()
