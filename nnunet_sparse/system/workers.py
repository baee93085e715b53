"""Processes that apply one function to what they are given.

They are forks of this process where that is safe: a fork has at once what has been imported, which
takes longer than most of the work. What another thread holds at that moment, a fork would wait for
in vain, and it cannot use a GPU that this process uses: there processes start anew.
"""

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import NoneType, TracebackType
from typing import Any, Generic, Self, TypeVar

from nnunet_sparse.system.errors import SparseError

_SECONDS_BETWEEN_LOOKS = 0.5
_In = TypeVar("_In")
_Out = TypeVar("_Out")


class WorkerDiedError(Exception):
    """A worker has ended without an answer."""


def end_with_parent() -> None:
    """Let a worker process end when its parent is killed, instead of living on with its files open.

    To be called in the worker; what it has inherited includes the locks of its parent.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        # without it, where the user may have no more threads, the end of the pipe ends the worker
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=_watch, args=(parent.pid,), daemon=True).start()


def _watch(parent: int) -> None:
    # the sentinel of multiprocessing does not do: workers that are forked later keep it open
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


class Workers(Generic[_In, _Out]):
    """Processes that apply a function to arguments, each to those that it is given in turn.

    Leaving the context waits for what has been begun, also after an error. After Ctrl-C, or where
    nobody wants further results, the processes are killed.

    Parameters
    ----------
    function
        Function of one argument, picklable if processes start anew.
    count
        Number of processes.
    start_anew
        Whether they start anew even where forks were safe, as beside windows.

    Raises
    ------
    SparseError
        If no processes can be started.
    """

    def __init__(
        self, function: Callable[[_In], _Out], count: int, *, start_anew: bool = False
    ) -> None:
        self._given: dict[Connection, list[str]] = {}
        self._processes: list[BaseProcess] = []
        start_method = "fork" if _can_fork() and not start_anew else "spawn"
        try:
            for _ in range(count):
                self._start(function, start_method)
        except OSError as error:
            self._end(kill=True)
            raise SparseError(
                f"worker processes cannot be started ({error.strerror or error}); "
                "try a smaller --num_processes"
            ) from error

    def _start(self, function: Callable[[_In], _Out], start_method: str) -> None:
        context: Any = multiprocessing.get_context(start_method)
        ours, theirs = context.Pipe()
        # of this and other workers, which a fork has and would keep open
        inherited = [*self._given, ours] if start_method == "fork" else []
        process = context.Process(target=_work, args=(function, theirs, inherited), daemon=True)
        try:
            with _ctrl_c_held_back():
                process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._processes.append(process)
        self._given[ours] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(kill=not isinstance(error, (Exception, NoneType)))

    def _end(self, *, kill: bool) -> None:
        for connection in self._given:
            if not kill:
                with contextlib.suppress(OSError):
                    connection.send(None)
            connection.close()
        if kill:
            for process in self._processes:
                process.kill()
        for process in self._processes:
            process.join()
            process.close()
        self._given, self._processes = {}, []

    def give(self, case_id: str, argument: _In, at_once: int = 1) -> bool:
        """Give a case to the worker that has fewest; whether one had less than ``at_once``.

        With more than 1 arguments have to be small, as the names of files are.
        """
        connection = min(self._given, key=lambda worker: len(self._given[worker]))
        if len(self._given[connection]) >= at_once:
            return False
        try:
            connection.send((argument,))
        except BrokenPipeError as error:
            raise WorkerDiedError from error
        self._given[connection].append(case_id)
        return True

    def kill(self) -> None:
        """End the processes at once, whatever they do."""
        self._end(kill=True)

    def next_results(self, timeout: float | None = None) -> Iterator[tuple[str, _Out]]:
        """Wait for a case, and give what has been done by then.

        Parameters
        ----------
        timeout
            Longest time to wait, in seconds; None until there is one.

        Raises
        ------
        WorkerDiedError
            If a worker has died.
        Exception
            What the function has raised.
        """
        ready: Sequence[Any] = wait(
            [worker for worker, given in self._given.items() if given], timeout
        )
        for connection in ready:
            try:
                is_done, result = connection.recv()
            except (EOFError, OSError) as error:
                raise WorkerDiedError from error
            case_id = self._given[connection].pop(0)
            if not is_done:
                raise result
            yield case_id, result


def _can_fork() -> bool:
    """Whether a fork of this process can do what this process can."""
    main = threading.main_thread()
    # the thread that looks after bars of progress holds nothing that workers use
    others = [t for t in threading.enumerate() if t is not main and not _watches_bars(t)]
    if others or threading.current_thread() is not main:
        return False
    torch: Any = sys.modules.get("torch")
    return torch is None or not torch.cuda.is_initialized()


def _watches_bars(thread: threading.Thread) -> bool:
    return type(thread).__name__ == "TMonitor"


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Start a process before which no Ctrl-C comes until it has said that it leaves it alone."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(
    function: Callable[[_In], _Out], connection: Connection, inherited: Sequence[Connection]
) -> None:
    """What a worker does: it leaves Ctrl-C to its parent, which ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    end_with_parent()
    for other in inherited:
        other.close()
    gc.freeze()  # what is shared is not copied because it is counted
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)  # those of the parent are not here, and would be waited for
    while True:
        try:
            asked = connection.recv()
        except (EOFError, OSError):
            return
        if asked is None:
            return
        try:
            answer: tuple[bool, Any] = True, function(*asked)
            content = pickle.dumps(answer)
        except Exception as error:
            content = pickle.dumps((False, _sendable(error)))
        try:
            connection.send_bytes(content)
        except OSError:  # nobody waits for it any more
            return


def _sendable(error: Exception) -> Exception:
    """An error as it arrives in the parent, with its traceback as a note."""
    trace = traceback.format_exc()
    try:
        error.add_note(trace)
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
        error.add_note(trace)
    return error
