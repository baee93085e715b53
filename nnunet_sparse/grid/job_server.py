"""The process that the jobs of a run share: it imports once, and every job is a fork of it.

Importing torch, nnU-Net and what they import takes longer than many a job. A fork has all of it at
once, and is a process of its own in everything else: what a job sets, breaks or leaks, and how it
ends, concerns no other. Nothing depends on the server: where it is not there, or is gone, jobs are
processes that import for themselves (:mod:`nnunet_sparse.grid.job_client`).

It runs no threads of Python, never touches a GPU, and ends with the run that has started it, though
not before the jobs that it has started: they outlive a run that is killed.
"""

import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import struct
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_sparse.grid.job_client import LENGTH, STATUS

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_FOR_REQUEST = 10.0
_NUM_STREAMS = 3
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_PEER = struct.Struct("3i")  # process, user and group at the other end of a socket
_HELD_BACK = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@dataclass(frozen=True)
class JobRequest:
    """What a client asks for.

    Attributes
    ----------
    arguments
        Of ``nnsparse_grid``.
    folder
        Working directory.
    environment
        All variables.
    umask
        Of files that are made.
    streams
        Descriptors of standard input, output and error; open in this process.
    """

    arguments: list[str]
    folder: str
    environment: Mapping[str, str]
    umask: int
    streams: tuple[int, ...]


@dataclass
class JobServer:
    """Forks a process for each job that it is asked for.

    Parameters
    ----------
    listener
        Where it is asked.
    parent
        Process with which it ends.
    prepare
        What is done once, before the first job; returns environment variables of all jobs, as far
        as a job has not set them.
    """

    listener: socket.socket
    parent: int
    prepare: Callable[[], Mapping[str, str]]
    _jobs: dict[int, socket.socket] = field(default_factory=dict)
    _variables: Mapping[str, str] | None = None
    _is_open: bool = True

    def serve(self) -> JobRequest | None:
        """Answer until the parent ends or SIGTERM comes, and the jobs have ended.

        Returns
        -------
        JobRequest or None
            In the process of a job what it has to do, in the server None.
        """
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only wakes
        signal.signal(signal.SIGTERM, lambda *_: self._close())
        for number in (signal.SIGINT, signal.SIGHUP):  # are meant for the run, which ends this
            signal.signal(number, signal.SIG_IGN)
        with selectors.PollSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            selector.register(self.listener, selectors.EVENT_READ)
            while self._is_open or self._jobs:
                found = {key.fileobj for key, _ in selector.select(_SECONDS_BETWEEN_LOOKS)}
                if reader in found:
                    with contextlib.suppress(BlockingIOError):
                        os.read(reader, 4096)
                self._tell_ended(selector)
                for job, client in list(self._jobs.items()):
                    if client in found and not _pass_on(client, job):
                        selector.unregister(client)
                if os.getppid() != self.parent:
                    self._close()
                if self._is_open and self.listener in found:
                    request = self._accept(selector)
                    if request is not None:
                        os.close(reader)
                        os.close(writer)
                        return request
                if not self._is_open and self.listener.fileno() >= 0:
                    selector.unregister(self.listener)
                    self.listener.close()  # who waits there is told, and helps himself
        return None

    def _close(self) -> None:
        self._is_open = False

    def _accept(self, selector: selectors.BaseSelector) -> JobRequest | None:
        """Start a job; in its process return what it has to do."""
        try:
            client, _ = self.listener.accept()
        except OSError:  # there are no more descriptors
            self._close()
            return None
        try:
            request = _receive(client)
        except (OSError, ValueError, TypeError):
            client.close()
            return None
        if self._variables is None:
            self._variables = self.prepare()
            gc.freeze()  # what is shared is not copied because it is counted
        server = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        try:
            job = os.fork()
            if job == 0:
                self.listener.close()
                for other in (client, *self._jobs.values()):
                    other.close()
                try:
                    _become_job(request, server, self._variables)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)  # one server is enough
                return request
        except OSError:  # there is no room for another process
            client.close()
        else:
            self._jobs[job] = client
            selector.register(client, selectors.EVENT_READ)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
            for stream in request.streams if os.getpid() == server else ():
                os.close(stream)
        return None

    def _tell_ended(self, selector: selectors.BaseSelector) -> None:
        """Tell clients how their jobs have ended."""
        while self._jobs:
            job, status = os.waitpid(-1, os.WNOHANG)
            if job == 0:
                return
            client = self._jobs.pop(job)
            if client in selector.get_map():
                selector.unregister(client)
            with client, contextlib.suppress(OSError):
                client.sendall(STATUS.pack(status))


def _pass_on(client: socket.socket, job: int) -> bool:
    """Pass signals of a client on to its job, which is killed where the client was; whether not."""
    try:
        numbers = client.recv(16)
    except OSError:
        numbers = b""
    for number in numbers or bytes([signal.SIGKILL]):
        os.kill(job, number)
    return bool(numbers)


def _receive(client: socket.socket) -> JobRequest:
    """Read what a client asks for."""
    client.settimeout(_SECONDS_FOR_REQUEST)
    peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    if _PEER.unpack(peer)[1] != os.getuid():
        raise ValueError("only the user's own jobs are done")
    start, streams, _, _ = socket.recv_fds(client, LENGTH.size, _NUM_STREAMS)
    try:
        if len(start) < LENGTH.size or len(streams) < _NUM_STREAMS:  # no more descriptors
            raise ValueError("the request is incomplete")
        (missing,) = LENGTH.unpack(start)
        content = bytearray()
        while missing > len(content):
            part = client.recv(missing - len(content))
            if not part:
                raise ValueError("the client has ended")
            content += part
        asked: dict[str, Any] = json.loads(content)
        client.settimeout(None)
        return JobRequest(**asked, streams=tuple(streams))
    except BaseException:
        for stream in streams:
            os.close(stream)
        raise


def _become_job(request: JobRequest, server: int, variables: Mapping[str, str]) -> None:
    """Make this fork of the server what a process is that the client has started."""
    import numpy as np

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # the client passes Ctrl-C on, a terminal is not to do it as well
    os.setsid()
    # the client of a job whose server has been killed starts it again
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)
    for standard, stream in enumerate(request.streams):
        os.dup2(stream, standard)
        os.close(stream)
    prctl(_PR_SET_NAME, " ".join(request.arguments[2:4]).encode())  # for top and ps
    os.umask(request.umask)
    os.environ.clear()
    os.environ.update({**variables, **request.environment})
    os.chdir(request.folder)
    np.random.seed()  # noqa: NPY002 - or all jobs would draw the same
