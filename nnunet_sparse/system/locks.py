"""File locks that leave no file behind.

The file of a lock is deleted by its holder. Whoever waits for it notices that the file it has
locked no longer has a name, and starts over with a new one (filelock does so by itself).

Some file systems know no locks (Lustre, network drives). There the file itself is the lock: it is
made with ``O_EXCL`` and names its process. One that was left by a killed process of this machine is
taken over where files can be exchanged; any other one is waited for, and named.
"""

import errno
import fcntl
import logging
import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_sparse.system.errors import naming

if TYPE_CHECKING:
    from filelock import BaseFileLock

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})


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
    lock = _taken(path, waiting)
    try:
        yield
    finally:
        unlock(lock)


def try_lock(path: Path) -> "BaseFileLock | None":
    """Take a lock that nobody holds, or return None; :func:`unlock` gives it back."""
    from filelock import Timeout

    try:
        lock = _lock_of(path)
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except PermissionError:
        if _owner(path) is None:
            raise
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


@contextmanager
def held_without_locks(path: Path) -> Iterator[None]:
    """Hold a lock whose file is the lock, for file systems that know no others."""
    from filelock import SoftFileLock

    lock = SoftFileLock(path)
    _acquire(lock)
    try:
        yield
    finally:
        unlock(lock)


def lock_descriptor(descriptor: int, path: Path, how: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file (``flock``), waiting for it unless told otherwise.

    Returns
    -------
    bool
        False if the file system knows no locks.

    Raises
    ------
    OSError
        Naming the file; ``BlockingIOError`` if somebody holds it and is not to be waited for.
    """
    try:
        with naming(path):
            fcntl.flock(descriptor, how)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _taken(path: Path, waiting: str | None) -> "BaseFileLock":
    """Lock that is held, after those of others whose files this user may not write."""
    while True:
        try:
            lock = _lock_of(path)
            _acquire(lock, waiting)
        except PermissionError:
            if (owner := _owner(path)) is None:
                raise
            _wait_for(path, owner, waiting)
        else:
            return lock


def _owner(path: Path) -> str | None:
    """Who else a lock's file belongs to; None if it is this user's, or there is none."""
    try:
        user = path.stat().st_uid
    except OSError:
        return None
    if user == os.geteuid():
        return None
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _wait_for(path: Path, owner: str, waiting: str | None) -> None:
    """Wait until the lock of another user is gone; one whose process was killed is removed.

    Raises
    ------
    PermissionError
        If it was left by a process that was killed, and only its owner may remove it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    except PermissionError:
        logger.info("%s belongs to %s: waiting until it is gone", path, owner)
        while path.exists():
            time.sleep(_POLL_S)
        return
    try:
        try:
            lock_descriptor(descriptor, path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("%s (%s belongs to %s)", waiting or "waiting for a lock", path, owner)
            lock_descriptor(descriptor, path)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                path.unlink()
    finally:
        os.close(descriptor)


def _acquire(lock: "BaseFileLock", waiting: str | None = None) -> None:
    """Take a lock, and say what is waited for."""
    from filelock import SoftFileLock, Timeout

    is_file = isinstance(lock, SoftFileLock)
    with naming(Path(lock.lock_file)):
        try:
            lock.acquire(timeout=0 if is_file or waiting is not None else -1)
        except Timeout:
            if waiting is not None:
                logger.info(waiting)
            if is_file:
                logger.info("Delete %s if no process is at work", lock.lock_file)
            lock.acquire()


def _lock_of(path: Path) -> "BaseFileLock":
    """Lock of that name; raises what keeps its file from being made.

    filelock would try for ever where a folder says that it holds no such file, as ``/proc`` does.
    """
    from filelock import FileLock, SoftFileLock

    descriptor, is_new = _opened(path)
    try:
        if _knows_locks(descriptor, path):
            return FileLock(path)
        if is_new:
            path.unlink()
    finally:
        os.close(descriptor)
    return SoftFileLock(path)


def _opened(path: Path) -> tuple[int, bool]:
    """Descriptor of a lock's file, and whether it was made here.

    No lock is a link: one that a stranger has made would lead to a file of somebody, or to nothing.
    """
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            pass
        try:
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW), False
        except FileNotFoundError:
            continue  # its holder has just deleted it
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            path.unlink(missing_ok=True)


def _knows_locks(descriptor: int, path: Path) -> bool:
    # giving back what is not held: to take it would disturb those who try at that moment
    return lock_descriptor(descriptor, path, fcntl.LOCK_UN)


def unlock(lock: "BaseFileLock") -> None:
    """Give a lock back."""
    from filelock import SoftFileLock

    if isinstance(lock, SoftFileLock):  # its file goes with it
        lock.release()
        return
    try:
        Path(lock.lock_file).unlink(missing_ok=True)
    finally:
        lock.release()
