"""A server of jobs whose jobs are lines of Python, and clients that ask it for some."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_sparse.grid import job_client

# "prepared" is written once, before the first job
SERVER = """
import os, socket, sys
from pathlib import Path
from nnunet_sparse.grid.job_server import JobServer
def prepare():
    with Path(sys.argv[2]).open("a") as file:
        file.write("prepared\\n")
    return {"FROM_IMPORTS": "imported", "MINE": "imported"}
request = JobServer(socket.socket(fileno=int(sys.argv[1])), os.getppid(), prepare).serve()
if request is not None:
    exec(request.arguments[0])
"""
NO_JOB = 2  # nnsparse_grid refuses what is no command of it


class Server:
    """A server in a process of its own."""

    def __init__(self, log: Path) -> None:
        self.address = f"nnsparse-test-{os.urandom(8).hex()}"
        self.log = log
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"\0{self.address}")
            listener.listen()
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(listener.fileno()), str(log)],
                pass_fds=[listener.fileno()],
            )

    def start(self, job: str, **options: object) -> "subprocess.Popen[str]":
        """Have a client ask for a job."""
        return start_client(self.address, job, **options)

    def run(self, job: str, **options: object) -> "subprocess.CompletedProcess[str]":
        """Have a client ask for a job, and wait for its end."""
        client = self.start(job, **options)
        out, error = client.communicate()
        return subprocess.CompletedProcess(client.args, client.returncode, out, error)

    def end(self) -> int:
        """Tell it to end; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()


def start_client(address: str, job: str, **options: object) -> "subprocess.Popen[str]":
    """Have a client ask for a job; it takes Ctrl-C also where the tests' shell ignores it."""
    words = [sys.executable, "-I", "-S", job_client.__file__, address, job]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **options
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "prepared.txt")
    yield server
    server.process.kill()
    server.process.wait()
