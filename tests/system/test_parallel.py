import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import iterate_cases, map_cases


@pytest.mark.parametrize(("num_processes", "threads"), [(1, False), (2, False), (2, True)])
def test_order_and_results(num_processes: int, threads: bool) -> None:
    cases = {"b": -2, "a": 1, "c": -3}
    results = map_cases(abs, cases, num_processes, "x", threads=threads)
    assert list(results.items()) == [("b", 2), ("a", 1), ("c", 3)]


@pytest.mark.parametrize("num_processes", [1, 2])
def test_one_result_after_the_other(num_processes: int) -> None:
    cases = {str(i): -i for i in range(11)}
    results = iterate_cases(abs, cases, num_processes, "x", at_once=2)
    assert next(results) == ("0", 0)
    assert list(results) == [(str(i), i) for i in range(1, 11)]
    assert list(iterate_cases(abs, {}, num_processes, "x")) == []


def test_only_some_results_wait() -> None:
    started = iterate_cases(time.sleep, dict.fromkeys("abcdefgh", 0.2), 2, "x", at_once=1)
    start = time.monotonic()
    next(started)
    started.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 30
    with pytest.raises(SparseError, match="worker process died during 'Work'"):
        list(iterate_cases(os._exit, {"a": 1, "b": 1}, 2, "Work"))


def test_threads_stay_in_this_process() -> None:
    def process_of(_: int) -> int:  # cannot be sent to another process
        return os.getpid()

    found = map_cases(process_of, dict.fromkeys("abc", 0), 2, "x", threads=True)
    assert set(found.values()) == {os.getpid()}


def test_nothing_to_do() -> None:
    assert map_cases(abs, {}, 4, "x") == {}


@pytest.mark.parametrize(("num_processes", "threads"), [(1, False), (2, False), (2, True)])
def test_errors_are_passed_on_and_the_rest_is_dropped(num_processes: int, threads: bool) -> None:
    start = time.monotonic()
    cases = {"a": -1, **{str(i): 3 for i in range(40)}}
    with pytest.raises(ValueError, match="sleep"):
        map_cases(time.sleep, cases, num_processes, "x", threads=threads)
    assert time.monotonic() - start < 60


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(SparseError, match="worker process died during 'Work'"):
        map_cases(os._exit, {"a": 1, "b": 1}, 2, "Work")


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import time\n"
        "from nnunet_sparse.system.parallel import map_cases\n"
        "if __name__ == '__main__':\n"
        "    print('started', flush=True)\n"
        "    map_cases(time.sleep, dict.fromkeys('ab', 300), 2, 'x')\n"
    )
    (tmp_path / "script.py").write_text(script)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py")], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(4)
    process.kill()
    # ends only when no worker holds the pipe any more
    assert process.communicate(timeout=60) == ("", None)
