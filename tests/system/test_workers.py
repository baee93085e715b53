import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from waiting import GUARD_S, make_and_wait, wait_for

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.workers import Workers


def process_of(_: object) -> int:
    return os.getpid()


def test_each_worker_is_a_process_of_its_own() -> None:
    with Workers(process_of, 3) as workers:
        given = [workers.give(str(i), i) for i in range(4)]
        assert given == [True, True, True, False]
        found: dict[str, int] = {}
        while len(found) < 3:
            found |= dict(workers.next_results())
    assert sorted(found) == ["0", "1", "2"]
    assert len({*found.values(), os.getpid()}) == 4
    assert multiprocessing.active_children() == []


def test_forks_know_what_cannot_be_sent() -> None:
    doubled = {"a": 1, "b": 2}
    assert map_cases(lambda case_id: 2 * doubled[case_id], {"a": "a", "b": "b"}, 2, "x") == {
        "a": 2,
        "b": 4,
    }


def test_a_user_who_may_have_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Workers(process_of, 2) as workers:
        assert workers.give("a", 0)
        assert [case_id for case_id, _ in workers.next_results()] == ["a"]


def test_workers_start_anew_beside_another_thread() -> None:
    """A fork would wait in vain for what that thread holds."""
    held, done = threading.Event(), threading.Event()
    lock = threading.Lock()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(GUARD_S)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(GUARD_S)
    try:
        command = Path("/proc/self/cmdline")
        found = map_cases(Path.read_bytes, {"a": command, "b": command}, 2, "x")
    finally:
        done.set()
        thread.join()
    assert all(b"spawn_main" in line for line in found.values())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_does_not_wait_for_what_has_been_begun(
    error: type[BaseException], tmp_path: Path
) -> None:
    begun, never = tmp_path / "begun", tmp_path / "never"

    def interrupted() -> None:
        with Workers(make_and_wait, 2) as workers:
            workers.give("a", (begun, never))
            wait_for(begun)
            raise error

    with pytest.raises(error):
        interrupted()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_a_command_ends_with_its_workers(number: int, status: int, tmp_path: Path) -> None:
    """As after Ctrl-C in a terminal, which all processes get."""
    script = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        # shells ignore it in background jobs
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "folder, tests = map(Path, sys.argv[1:])\n"
        "sys.path.append(str(tests))\n"
        "from waiting import make_and_wait\n"
        "from nnunet_sparse.system.command import CommandParser, run_command\n"
        "from nnunet_sparse.system.parallel import map_cases\n"
        "cases = {name: (folder / name, folder / 'never') for name in 'ab'}\n"
        "parser = CommandParser('x', 'x', 'x')\n"
        "sys.exit(run_command(parser, lambda _: map_cases(make_and_wait, cases, 2, 'x'), []))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[1])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    for name in "ab":
        wait_for(tmp_path / name)
    os.killpg(process.pid, number)
    # ends only when no worker holds the pipes any more
    shown, said = process.communicate(timeout=GUARD_S / 2)
    assert (process.returncode, shown) == (status, "")
    assert "Traceback" not in said


def test_what_cannot_be_sent_back_says_so() -> None:
    class OwnError(Exception):
        def __init__(self, one: str, two: str) -> None:
            super().__init__(f"{one} {two}")

    def fail(_: object) -> None:
        raise OwnError("left", "right")

    with pytest.raises(RuntimeError, match="OwnError: left right") as caught:
        map_cases(fail, {"a": 0, "b": 0}, 2, "x")
    assert any("in fail" in note for note in caught.value.__notes__)
    with pytest.raises((AttributeError, RuntimeError, TypeError), match="pickle"):
        map_cases(lambda _: lambda: None, {"a": 0, "b": 0}, 2, "x")


def test_no_room_for_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(SparseError, match=r"cannot be started .*try a smaller --num_processes"):
        map_cases(abs, {"a": 1, "b": 1}, 2, "x")
