import os
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from waiting import GUARD_S, make_and_wait, wait_for

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import iterate_cases, map_cases
from nnunet_sparse.system.workers import Workers


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


def test_only_some_results_wait(tmp_path: Path) -> None:
    cases = {case_id: tmp_path / case_id for case_id in "abcdefgh"}
    started = iterate_cases(Path.touch, cases, 2, "x", at_once=1)
    assert isinstance(started, Generator)
    next(started)
    next(started)
    started.close()
    # one more was begun when the first result was taken
    assert {"a", "b"} <= {path.name for path in tmp_path.iterdir()} <= {"a", "b", "c"}
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
def test_errors_are_passed_on_and_the_rest_is_dropped(
    num_processes: int, threads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cases that have been begun end after the rest was dropped."""
    dropped = tmp_path / "dropped"
    begun = tmp_path / "begun"
    begun.mkdir()

    shutdown, end = ThreadPoolExecutor.shutdown, Workers._end

    def shut_down(self: ThreadPoolExecutor, **options: bool) -> None:
        shutdown(self, wait=False, cancel_futures=True)
        dropped.touch()
        shutdown(self, **options)

    def end_workers(self: Workers[object, object], *, kill: bool) -> None:
        dropped.touch()
        end(self, kill=kill)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shut_down)
    monkeypatch.setattr(Workers, "_end", end_workers)
    names = [tmp_path / "missing" / "a", *(begun / str(i) for i in range(40))]
    cases = {path.name: (path, dropped) for path in names}
    with pytest.raises(FileNotFoundError, match="missing"):
        map_cases(make_and_wait, cases, num_processes, "x", threads=threads)
    assert len(list(begun.iterdir())) < 10


def test_this_process_does_something_meanwhile(tmp_path: Path) -> None:
    """Workers wait for it; no thread is left, with which this process could not fork."""
    done, before = tmp_path / "done", threading.enumerate()

    def meanwhile() -> None:
        wait_for(tmp_path / "a")
        done.touch()

    cases = {name: (tmp_path / name, done) for name in "abc"}
    found = map_cases(make_and_wait, cases, 2, "x", meanwhile=meanwhile)
    assert found == dict.fromkeys("abc")
    assert threading.enumerate() == before


def test_what_is_done_meanwhile_may_fail_as_others_may(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("meanwhile")

    missing = {name: tmp_path / "missing" / name for name in "ab"}
    with pytest.raises(ValueError, match="meanwhile"):
        map_cases(abs, {"a": -1, "b": -2}, 2, "x", meanwhile=fail)
    with pytest.raises(FileNotFoundError, match="missing"):
        map_cases(Path.touch, missing, 2, "x", meanwhile=lambda: None)


def test_nothing_is_done_meanwhile_without_workers() -> None:
    def fail() -> None:
        pytest.fail("there is no meanwhile")

    assert map_cases(abs, {"a": -1, "b": -2}, 1, "x", meanwhile=fail) == {"a": 1, "b": 2}


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(SparseError, match="worker process died during 'Work'"):
        map_cases(os._exit, {"a": 1, "b": 1}, 2, "Work")


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "folder, tests = map(Path, sys.argv[1:])\n"
        "sys.path.append(str(tests))\n"
        "from waiting import make_and_wait\n"
        "from nnunet_sparse.system.parallel import map_cases\n"
        "if __name__ == '__main__':\n"
        "    cases = {name: (folder / name, folder / 'never') for name in 'ab'}\n"
        "    map_cases(make_and_wait, cases, 2, 'x')\n"
    )
    (tmp_path / "script.py").write_text(script)
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path), str(tests)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    for name in "ab":
        wait_for(tmp_path / name)
    process.kill()
    # ends only when no worker holds the pipe any more
    assert process.communicate(timeout=GUARD_S / 2) == ("", None)
