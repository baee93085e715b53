import multiprocessing
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from waiting import GUARD_S

from nnunet_sparse.trainers.seeding import SeededLoader, seed_everything, seeded, seeded_batches


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(1))  # noqa: NPY002


class Numbers:
    """A loader that draws from all three generators."""

    thread_id = 0

    def set_thread_id(self, thread_id):
        self.thread_id = thread_id

    def __next__(self):
        return draw()


def test_seed_reaches_all_generators():
    seed_everything(1, 2)
    first = draw()
    seed_everything(1, 2)
    assert draw() == first
    seed_everything(1, 3)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_seeded_block_leaves_no_trace():
    seed_everything(5)
    undisturbed = draw(), draw()
    seed_everything(5)
    first = draw()
    with seeded(6):
        inside = draw()
    assert (first, draw()) == undisturbed
    with seeded(6):
        assert draw() == inside


def test_batch_depends_on_its_number_alone():
    loader = seeded_batches(Numbers(), (1, 0), 3, 0, False)
    batches = [next(loader) for _ in range(4)]
    later = seeded_batches(Numbers(), (1, 0), 5, 0, False)
    assert next(later) == batches[2]
    assert len(set(batches)) == 4


def test_workers_share_the_batches():
    alone = SeededLoader(Numbers(), (4,), 0, 0)
    expected = [next(alone) for _ in range(6)]
    threads = torch.get_num_threads()
    workers = [SeededLoader(Numbers(), (4,), 0, 3) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.set_thread_id(number)
    torch.set_num_threads(threads)
    assert [next(workers[k % 3]) for k in range(6)] == expected


def test_batches_of_processes_come_in_order():
    alone = seeded_batches(Numbers(), (4,), 2, 0, False)
    shared = seeded_batches(Numbers(), (4,), 2, 2, False)
    assert [next(shared) for _ in range(5)] == [next(alone) for _ in range(5)]
    shared._finish()
    for process in multiprocessing.active_children():
        process.join(GUARD_S)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_processes_end_when_the_training_is_killed(tmp_path):
    """Forked ones hold what it held: its locks, and here its output."""
    script = (
        "import itertools, sys\n"
        "from nnunet_sparse.trainers.seeding import seeded_batches\n"
        "class Loader(itertools.count):\n"
        "    def set_thread_id(self, _): pass\n"
        "if __name__ == '__main__':\n"
        "    batches = seeded_batches(Loader(), (0,), 0, 3, False)\n"
        "    next(batches)\n"
        "    print('started', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    (tmp_path / "script.py").write_text(script)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.kill()
        # ends only when no process holds the pipe any more
        assert process.communicate(timeout=GUARD_S) == ("", None)
