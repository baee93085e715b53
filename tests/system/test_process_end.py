import subprocess
import sys

import pytest

from nnunet_sparse.front.nnsparse_command import main
from nnunet_sparse.system import process_end
from nnunet_sparse.system.process_end import end_if_interrupted

PROGRAM = """
import atexit, sys, threading
from nnunet_sparse.system.process_end import end_process
atexit.register(print, "at its end")
going_on = threading.Event()
threading.Thread(target=lambda: going_on.wait() and print("thread")).start()
atexit.register(sys.stderr.write, "error")
print("buffered")
threading.Timer(0, going_on.set).start()
end_process(5)
"""


def test_it_ends_as_python_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (5, "error")
    assert done.stdout.splitlines() == ["buffered", "thread", "at its end"]


@pytest.mark.parametrize(("status", "is_ended"), [(0, 0), (2, 0), (141, 0), (130, 1), (143, 1)])
def test_only_a_process_whose_work_a_signal_has_ended(
    status: int, is_ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(process_end, "end_process", ended.append)
    assert end_if_interrupted(status) == status
    assert ended == [status] * is_ended


def test_a_process_that_calls_a_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended where the command is the program alone."""
    ended: list[int] = []
    monkeypatch.setattr(process_end, "end_process", ended.append)
    found = "nnunet_sparse.front.nnsparse_command.find_command"
    monkeypatch.setattr(found, lambda _: lambda _: 130)
    assert main(["grid"]) == 130
    assert ended == []
    monkeypatch.setattr(sys, "argv", ["nnsparse", "grid"])
    assert main() == 130
    assert ended == [130]
