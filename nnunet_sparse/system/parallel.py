"""Running one function over many cases, in parallel and with a progress bar."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TypeVar

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.workers import WorkerDiedError, Workers

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def map_cases(
    function: Callable[[_In], _Out],
    cases: Mapping[str, _In],
    num_processes: int,
    description: str,
    *,
    threads: bool = False,
    meanwhile: Callable[[], object] | None = None,
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
    meanwhile
        Done by this process while others work, as importing what is needed next; with one process
        it is left out.

    Returns
    -------
    dict
        Results by case ID, in the order of ``cases``.

    Raises
    ------
    SparseError
        If a process dies. Errors of the function are passed on; cases not yet begun are dropped.
    """
    from tqdm import tqdm

    num_processes = min(num_processes, len(cases))
    results: dict[str, _Out] = {}
    # no bar where standard error is not a terminal; closed before an error is printed
    with tqdm(desc=description, total=len(cases), leave=False, disable=None) as bar:
        if num_processes <= 1:
            found: Generator[tuple[str, _Out]] = ((c, function(cases[c])) for c in cases)
        elif threads:
            found = _in_threads(function, cases, num_processes)
        else:
            found = _in_processes(function, cases, num_processes, description, meanwhile)
        with closing(found):
            for case_id, result in found:
                results[case_id] = result
                bar.update()
    return {case_id: results[case_id] for case_id in cases}


def _in_threads(
    function: Callable[[_In], _Out], cases: Mapping[str, _In], count: int
) -> Generator[tuple[str, _Out]]:
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(count) as pool:
        try:
            futures = {pool.submit(function, argument): c for c, argument in cases.items()}
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _in_processes(
    function: Callable[[_In], _Out],
    cases: Mapping[str, _In],
    count: int,
    description: str,
    meanwhile: Callable[[], object] | None,
) -> Generator[tuple[str, _Out]]:
    """Results as they come."""
    with _working(function, count, description) as workers:
        found = _handed_out(workers, cases)
        yield from found if meanwhile is None else _beside(found, meanwhile)


def _handed_out(
    workers: Workers[_In, _Out], cases: Mapping[str, _In]
) -> Generator[tuple[str, _Out]]:
    todo = deque(cases)
    missing = len(cases)
    while missing:
        while todo and workers.give(todo[0], cases[todo[0]]):
            todo.popleft()
        for found in workers.next_results():
            missing -= 1
            yield found


def _beside(
    results: Iterable[tuple[str, _Out]], meanwhile: Callable[[], object]
) -> Generator[tuple[str, _Out]]:
    """Results that a thread waits for, while this one does something else first."""
    found = queue.SimpleQueue[tuple[str, _Out] | Exception | None]()

    def wait() -> None:
        try:
            for result in results:
                found.put(result)
        except Exception as error:
            found.put(error)
        else:
            found.put(None)

    thread = threading.Thread(target=wait, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # where the user may have no more threads
        yield from results
        return
    meanwhile()
    while (result := found.get()) is not None:
        if isinstance(result, Exception):
            raise result
        yield result
    thread.join()


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
        As for :func:`map_cases`; arguments are small, as names of files are.
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
    from tqdm import tqdm

    num_processes = min(num_processes, len(cases))
    with tqdm(desc=description, total=len(cases), leave=False, disable=None) as bar:
        if num_processes <= 1:
            for case_id, argument in cases.items():
                yield case_id, function(argument)
                bar.update()
            return
        with _working(function, num_processes, description) as workers:
            todo, order = deque(cases), deque[str]()
            done: dict[str, _Out] = {}
            while todo or order:
                while todo and len(order) < at_once * num_processes:
                    if not workers.give(todo[0], cases[todo[0]], at_once):
                        break
                    order.append(todo.popleft())
                if order[0] in done:
                    first = order.popleft()
                    yield first, done.pop(first)
                    bar.update()
                else:
                    done |= dict(workers.next_results())


@contextmanager
def _working(
    function: Callable[[_In], _Out], count: int, description: str
) -> Iterator[Workers[_In, _Out]]:
    """Workers whose death is explained."""
    try:
        with Workers(function, count) as workers:
            yield workers
    except WorkerDiedError as error:
        raise SparseError(
            f"a worker process died during {description!r}, perhaps for lack of memory; "
            "try a smaller --num_processes"
        ) from error
