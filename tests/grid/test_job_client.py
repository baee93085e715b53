"""Clients, which stand for their jobs in everything that a shell sees."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from job_processes import NO_JOB, Server, server, start_client
from waiting import GUARD_S, wait_for

__all__ = ["server"]

WAITING = """
import os, signal, time
from pathlib import Path
def tell(number, _):
    Path("got").write_text(str(number))
    os._exit(9)
signal.signal(signal.SIGTERM, tell)
Path("partial").write_text(str(os.getpid()))
Path("partial").rename("job")
try:
    time.sleep(600)
except KeyboardInterrupt:
    Path("got").write_text("2")
    os._exit(9)
"""


def waiting_job(server: Server, folder: Path) -> "tuple[subprocess.Popen[str], psutil.Process]":
    """A client, and the process of its job, which waits for signals."""
    client = server.start(WAITING, cwd=folder)
    wait_for(folder / "job")
    return client, psutil.Process(int((folder / "job").read_text("utf-8")))


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or but waits for its parent to notice."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_job(server: Server, tmp_path: Path, number: signal.Signals) -> None:
    client, _ = waiting_job(server, tmp_path)
    client.send_signal(number)
    assert client.wait(GUARD_S) == 9
    assert (tmp_path / "got").read_text("utf-8") == str(int(number))


def test_a_job_ends_with_its_client(server: Server, tmp_path: Path) -> None:
    client, job = waiting_job(server, tmp_path)
    client.kill()
    psutil.wait_procs([job], timeout=GUARD_S)
    assert has_ended(job)
    assert not (tmp_path / "got").exists()
    assert server.run("").returncode == 0


def test_a_job_whose_server_is_killed_is_started_again(server: Server, tmp_path: Path) -> None:
    client, job = waiting_job(server, tmp_path)
    server.process.kill()
    _, said = client.communicate()
    assert (client.returncode, "invalid choice" in said) == (NO_JOB, True)
    assert has_ended(job)


def test_a_signal_is_not_lost_where_the_server_does_not_answer(server: Server) -> None:
    os.kill(server.process.pid, signal.SIGSTOP)
    client = server.start("")
    status = psutil.Process(client.pid)
    # it has handlers once it waits for the answer
    while int(_field(status, "SigCgt"), 16) & 1 << signal.SIGTERM - 1 == 0:
        assert client.poll() is None
    client.send_signal(signal.SIGTERM)
    server.process.kill()
    assert client.wait(GUARD_S) == -signal.SIGTERM


def _field(process: psutil.Process, name: str) -> str:
    lines = Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines()
    return next(line.split()[1] for line in lines if line.startswith(name))


def test_without_a_server_it_becomes_the_job() -> None:
    client = start_client("nnsparse-nobody", "--help")
    out, _ = client.communicate()
    assert client.returncode == 0
    assert out.startswith("usage: nnsparse_grid")
