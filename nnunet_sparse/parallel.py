"""Running one function over many cases, in parallel and with a progress bar."""

import multiprocessing
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from nnunet_sparse.errors import SparseError

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def progress(items: Iterable[_In], total: int, description: str) -> Iterable[_In]:
    """Show a progress bar on standard error while iterating; none where that is not a terminal."""
    bar: Iterable[_In] = tqdm(items, desc=description, total=total, leave=False, disable=None)
    return bar


def map_cases(
    function: Callable[[_In], _Out],
    cases: Mapping[str, _In],
    num_processes: int,
    description: str,
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
    if num_processes <= 1:
        return {c: function(cases[c]) for c in progress(cases, len(cases), description)}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_processes, mp_context=context) as pool:
        futures = {pool.submit(function, argument): c for c, argument in cases.items()}
        try:
            results = {
                futures[future]: future.result()
                for future in progress(as_completed(futures), len(futures), description)
            }
        except BrokenProcessPool as error:
            raise SparseError(
                f"a worker process died during {description!r}, perhaps for lack of memory; "
                "try a smaller --num_processes"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
    return {c: results[c] for c in cases}
