"""The servers of a run, and the command by which its jobs are asked of them."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Self

from nnunet_sparse.grid import job_client

# the workflow hands the name of its servers to its jobs
_HANDED = "NNSPARSE_GRID_SERVERS"
_PROCESS = "nnunet_sparse.grid.job_process"
_SECONDS_TO_END = 1.0
_MAX_WAITING = 128  # jobs whose connection has not been accepted


class JobServers:
    """The servers of a run, one for each number of threads that its jobs have.

    How many threads torch and nnU-Net use is decided when they are imported. A job for whose
    number there is no server is a process of its own, and so are all where none can be started.

    Parameters
    ----------
    file
        The experiment.
    log
        Gets what the servers say.
    threads
        The numbers.

    Attributes
    ----------
    name
        By which clients find them; empty if there are none.
    """

    def __init__(self, file: Path, log: Path, threads: Collection[int]) -> None:
        self.name = ""
        self._file, self._log, self._threads = file, log, sorted(set(threads))
        self._servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        name = f"nnsparse-{os.getuid()}-{os.urandom(16).hex()}"
        try:
            for number in self._threads:
                self._start(address_of(name, number), number)
            self.name = name if self._servers else ""
        except OSError:
            self._end()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _start(self, address: str, threads: int) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, self._log.open("ab") as log:
            listener.bind(f"\0{address}")
            listener.listen(_MAX_WAITING)
            words = [str(listener.fileno()), str(os.getpid()), str(threads), str(self._file)]
            self._servers.append(
                subprocess.Popen(
                    [sys.executable, "-m", _PROCESS, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[listener.fileno()],
                )
            )

    def _end(self) -> None:
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            # it ends after the jobs, should Snakemake have left one
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(_SECONDS_TO_END)
        self._servers.clear()

    def variables(self) -> dict[str, str]:
        """Environment variables by which the jobs find them."""
        return {_HANDED: self.name}


def step_command(file: Path, threads: int) -> list[str]:
    """Command that does a job of an experiment, but for its name.

    Parameters
    ----------
    file
        The experiment.
    threads
        Threads of the job.
    """
    step = ["step", str(file)]
    if name := os.environ.get(_HANDED):
        # without the modules that are installed Python starts in 20 ms
        python = [sys.executable, "-I", "-S", job_client.__file__]
        return [*python, address_of(name, threads), *step]
    return [sys.executable, "-m", job_client.MODULE, *step]


def address_of(name: str, threads: int) -> str:
    """Where the server for jobs of that many threads is asked."""
    return f"{name}-{threads}"
