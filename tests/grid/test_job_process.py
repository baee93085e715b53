import subprocess
import sys

import pytest

from nnunet_sparse.grid.job_process import _done
from nnunet_sparse.grid.job_server import JobRequest

PROGRAM = """
import atexit, sys, threading
from nnunet_sparse.grid.job_process import _end_process
atexit.register(print, "at its end")
going_on = threading.Event()
threading.Thread(target=lambda: going_on.wait() and print("thread")).start()
atexit.register(sys.stderr.write, "error")
print("buffered")
threading.Timer(0, going_on.set).start()
_end_process(5)
"""


def test_it_ends_as_python_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (5, "error")
    assert done.stdout.splitlines() == ["buffered", "thread", "at its end"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, ""),
        (["no command"], 2, "error: argument COMMAND: invalid choice"),
        (["step", "nowhere.yaml", "train", "x"], 2, "nowhere.yaml"),
    ],
)
def test_status_of_a_job(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    assert _done(JobRequest(arguments, ".", {}, 0, ())) == status
    assert said in capsys.readouterr().err


def test_a_bug_has_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> int:
        raise ZeroDivisionError("why")

    monkeypatch.setattr("nnunet_sparse.grid.grid_command.main", fail)
    assert _done(JobRequest([], ".", {}, 0, ())) == 1
    assert "ZeroDivisionError: why" in capsys.readouterr().err
