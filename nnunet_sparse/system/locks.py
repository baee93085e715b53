"""File locks that leave no file behind.

The file of a lock is deleted by its holder. Whoever waits for it notices that the file it has
locked no longer has a name, and starts over with a new one (filelock does so by itself).
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

logger = logging.getLogger(__name__)


@contextmanager
def locked(path: Path, waiting: str | None = None) -> Iterator[None]:
    """Hold the lock of that name, waiting for it if need be.

    Parameters
    ----------
    path
        File of the lock.
    waiting
        Logged if another process holds the lock.

    Raises
    ------
    OSError
        If there can be no such file.
    """
    lock = _lock_of(path)
    try:
        lock.acquire(timeout=-1 if waiting is None else 0)
    except Timeout:
        logger.info(waiting)
        lock.acquire()
    try:
        yield
    finally:
        unlock(lock)


def try_lock(path: Path) -> BaseFileLock | None:
    """Take a lock that nobody holds, or return None; :func:`unlock` gives it back."""
    lock = _lock_of(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock of that name if nobody else does; for removing what a killed process has left.

    Yields
    ------
    bool
        Whether it is held; False also where no file can be made, as in folders that are only read.
    """
    try:
        lock = try_lock(path)
    except OSError:
        lock = None
    try:
        yield lock is not None
    finally:
        if lock is not None:
            # it is free all the same where its file cannot be removed
            with suppress(OSError):
                unlock(lock)


def _lock_of(path: Path) -> BaseFileLock:
    """Lock of that name; raises what keeps its file from being made.

    filelock would try for ever where a folder says that it holds no such file, as ``/proc`` does.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o666))
    return FileLock(path)


def unlock(lock: BaseFileLock) -> None:
    """Give a lock back."""
    try:
        Path(lock.lock_file).unlink(missing_ok=True)
    finally:
        lock.release()
