"""Running one function over many cases, in parallel and with a progress bar."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from nnunet_sparse.system.errors import SparseError

_SECONDS_BETWEEN_LOOKS = 0.5
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def end_with_parent() -> None:
    """Let a worker process end when its parent is killed, instead of living on with its files open.

    To be called in the worker; what it has inherited includes the locks of its parent.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        threading.Thread(target=_watch, args=(parent.pid,), daemon=True).start()


def _watch(parent: int) -> None:
    # the sentinel of multiprocessing does not do: workers that are forked later keep it open
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Start processes that leave Ctrl-C to their parent."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _pool(count: int, threads: bool) -> Executor:
    if threads:
        return ThreadPoolExecutor(count)
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=end_with_parent)


def map_cases(
    function: Callable[[_In], _Out],
    cases: Mapping[str, _In],
    num_processes: int,
    description: str,
    *,
    threads: bool = False,
) -> dict[str, _Out]:
    """Apply a function to every case; the result does not depend on the number of processes.

    Parameters
    ----------
    function
        Picklable function of one argument.
    cases
        Its argument, by case ID.
    num_processes
        Number of processes; with 1 all is done in this one.
    description
        Text before the progress bar.
    threads
        Use threads of this process, for work that is shorter than the start of a process.

    Returns
    -------
    dict
        Results by case ID, in the order of ``cases``.

    Raises
    ------
    SparseError
        If a process dies. Errors of the function are passed on; cases not yet begun are dropped.
    """
    num_processes = min(num_processes, len(cases))
    results: dict[str, _Out] = {}
    # no bar where standard error is not a terminal; closed before an error is printed
    with tqdm(desc=description, total=len(cases), leave=False, disable=None) as bar:
        if num_processes <= 1:
            for case_id, argument in cases.items():
                results[case_id] = function(argument)
                bar.update()
            return results
        with _working(num_processes, threads, description) as pool:
            with _interrupts_ignored():
                futures = {pool.submit(function, argument): c for c, argument in cases.items()}
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                bar.update()
    return {case_id: results[case_id] for case_id in cases}


def iterate_cases(
    function: Callable[[_In], _Out],
    cases: Mapping[str, _In],
    num_processes: int,
    description: str,
    at_once: int = 4,
) -> Iterator[tuple[str, _Out]]:
    """As :func:`map_cases`, for results that do not fit into memory together.

    Parameters
    ----------
    function, cases, num_processes, description
        As for :func:`map_cases`.
    at_once
        Results of each process that may wait.

    Yields
    ------
    tuple
        Case ID and result, in the order of ``cases``.

    Raises
    ------
    SparseError
        If a process dies. Errors of the function are passed on.
    """
    num_processes = min(num_processes, len(cases))
    with tqdm(desc=description, total=len(cases), leave=False, disable=None) as bar:
        if num_processes <= 1:
            for case_id, argument in cases.items():
                yield case_id, function(argument)
                bar.update()
            return
        with _working(num_processes, False, description) as pool:
            waiting: deque[tuple[str, Future[_Out]]] = deque()
            for case_id, argument in cases.items():
                with _interrupts_ignored():
                    waiting.append((case_id, pool.submit(function, argument)))
                if len(waiting) >= at_once * num_processes:
                    first, future = waiting.popleft()
                    yield first, future.result()
                    bar.update()
            for first, future in waiting:
                yield first, future.result()
                bar.update()


@contextmanager
def _working(count: int, threads: bool, description: str) -> Iterator[Executor]:
    """A pool whose work is dropped on errors."""
    with _pool(count, threads) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise SparseError(
                f"a worker process died during {description!r}, perhaps for lack of memory; "
                "try a smaller --num_processes"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
