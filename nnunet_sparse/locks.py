"""File locks that leave no file behind.

The file of a lock is deleted by its holder. Whoever waits for it notices that the file it has
locked no longer has a name, and starts over with a new one (filelock does so by itself).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of that name, waiting for it if need be."""
    with FileLock(path) as lock:
        try:
            yield
        finally:
            _remove(lock)


def try_lock(path: Path) -> BaseFileLock | None:
    """Take a lock that nobody holds, or return None; :func:`unlock` gives it back."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def unlock(lock: BaseFileLock) -> None:
    """Give a lock back."""
    _remove(lock)
    lock.release()


def _remove(lock: BaseFileLock) -> None:
    Path(lock.lock_file).unlink(missing_ok=True)
