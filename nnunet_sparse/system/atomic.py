"""Writing files so that a reader, or a restart after a kill, never meets half of one.

A file ``NAME`` is written as ``.nnsparse_new_NAME/NAME`` and renamed. The name of that folder is
the same each time, so that the next writer of the file takes over what a killed one has left; what
is left where nothing is written any more is removed by :func:`remove_leftovers`.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from nnunet_sparse.system.errors import naming
from nnunet_sparse.system.locks import held_if_free, held_without_locks, lock_descriptor

_INDENT = 2
_MOST_ATTEMPTS = 1000
_NEW, _ONCE, _LOCK = ".nnsparse_new_", ".nnsparse_once_", ".nnsparse_lock_"
# what earlier versions wrote to, as tempfile names it
_EARLIER = re.compile(r"\.nnsparse_[a-z0-9_]{8}")


@contextmanager
def atomic_path(path: Path, staging: Path | None = None) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends without an error.

    Writers of the same file wait for each other. After an error or Ctrl-C nothing is left.

    Parameters
    ----------
    path
        File to be written; an existing one is replaced in one step.
    staging
        Folder for the temporary file, on the same file system; by default the folder of ``path``.
        Folders that nnU-Net lists by file ending (``labelsTr``) need another one.

    Yields
    ------
    Path
        Path of an empty file with the same name, so that writers which look at it work.
    """
    with naming(path), _claimed(path, staging) as temporary:
        yield temporary
        temporary.replace(path)


def write_once(path: Path, text: str) -> bool:
    """Write a text file in one step (UTF-8), unless it is there.

    Returns
    -------
    bool
        Whether this call wrote it, and no other one that ran at the same time.
    """
    # a file without a folder of its own, of which nothing is left once it is renamed
    temporary = path.with_name(f"{_ONCE}{path.name}")
    with naming(path), _claim(temporary):
        try:
            if path.exists():
                temporary.unlink()
                return False
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return True


def check_writable(path: Path) -> None:
    """Find out whether :func:`atomic_path` can write a file.

    Raises
    ------
    OSError
        If it cannot.
    """
    folder = _folder_of(path, None)
    _make_folder(folder)
    with suppress(OSError):  # of another writer
        folder.rmdir()


def _make_folder(folder: Path) -> None:
    """Make a folder that other writers make and remove at the same time."""
    with suppress(FileExistsError):
        os.mkdir(folder)  # noqa: PTH102 - Path.mkdir looks twice, and finds it gone


@contextmanager
def _claimed(path: Path, staging: Path | None) -> Iterator[Path]:
    """Empty temporary file that is this writer's alone; the block renames it, or ends in an error.

    Once it is renamed its name is the next writer's, and is not touched.
    """
    folder = _folder_of(path, staging)
    temporary = folder / path.name
    _remove_foreign(folder, stat.S_ISDIR)
    with _claim(temporary):
        try:
            yield temporary
        except BaseException:
            # what a writer has put beside the file goes as well
            shutil.rmtree(folder, ignore_errors=True)
            raise
    try:
        folder.rmdir()
    except OSError as error:  # the next writer has begun, or is done
        if error.errno not in {errno.ENOTEMPTY, errno.ENOENT}:
            raise


def _claim(temporary: Path) -> ExitStack:
    """Create a temporary file, or wait until nobody else writes it; it is held until it closes."""
    attempts = 0
    while True:
        _make_folder(temporary.parent)
        with ExitStack() as claim:
            try:
                _remove_foreign(temporary, stat.S_ISREG)
                descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
                claim.callback(os.close, descriptor)
                if not lock_descriptor(descriptor, temporary):
                    claim.enter_context(held_without_locks(_lock_file(temporary)))
            # filelock finds the folder, and then does not
            except (FileNotFoundError, FileExistsError):
                attempts += 1
                if attempts > _MOST_ATTEMPTS:  # the folder holds no files of this name, as /proc
                    raise
                continue  # the folder was removed by the writer before
            if _is_file_of(descriptor, temporary):
                if os.fstat(descriptor).st_size:  # left by a writer that was killed
                    os.ftruncate(descriptor, 0)
                return claim.pop_all()
            # renamed by the writer before


def _remove_foreign(path: Path, is_ours: Callable[[int], bool]) -> None:
    """Remove what no writer has made: through a link of strangers other files would be written."""
    with suppress(FileNotFoundError):
        if not is_ours(path.lstat().st_mode):
            path.unlink()


def _lock_file(temporary: Path) -> Path:
    """Lock of a temporary file where files themselves cannot be locked."""
    return temporary.with_name(f"{_LOCK}{temporary.name}")


def _is_file_of(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _folder_of(path: Path, staging: Path | None) -> Path:
    return (staging or path.parent) / f"{_NEW}{path.name}"


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary folders that killed writers have left in a folder.

    To be called where no earlier version writes into the folder, as under its lock. Writers of this
    version that are at work are left alone.
    """
    for leftover in folder.glob(".nnsparse_*"):
        if leftover.name.startswith(_NEW) and leftover.is_dir():
            _remove_unclaimed(leftover)
        elif is_earlier_temporary(leftover):
            shutil.rmtree(leftover, ignore_errors=True)


def is_earlier_temporary(path: Path) -> bool:
    """Whether it is a temporary folder of an earlier version."""
    return _EARLIER.fullmatch(path.name) is not None and path.is_dir()


def _remove_unclaimed(leftover: Path) -> None:
    """Remove a temporary folder, unless somebody writes its file."""
    temporary = leftover / leftover.name.removeprefix(_NEW)
    try:
        descriptor = os.open(temporary, os.O_RDWR)
    except OSError:
        with suppress(OSError):
            leftover.rmdir()
        return
    try:
        if lock_descriptor(descriptor, temporary, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(leftover, ignore_errors=True)
            return
        with held_if_free(_lock_file(temporary)) as is_free:
            if is_free:
                shutil.rmtree(leftover, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def as_json(content: Any) -> Any:
    """What comes back when it is written as JSON and read: lists for tuples, names for keys."""
    return json.loads(json.dumps(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step (UTF-8)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, sort_keys: bool = True) -> None:
    """Write :func:`canonical_json` of ``content`` in one step."""
    write_text(path, canonical_json(content, sort_keys))


def json_digest(content: Any, length: int | None = None) -> str:
    """First hexadecimal digits of a hash that is equal for equal JSON; all of them by default."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:length]


def canonical_json(content: Any, sort_keys: bool = True) -> str:
    """Format JSON so that equal content is equal text, and still pleasant to read.

    Lists without nested containers take one line, floats are written with their shortest exact
    form.

    Parameters
    ----------
    content
        What ``json.dumps`` takes.
    sort_keys
        Whether keys are sorted. Those of nnU-Net's ``dataset.json`` must not be: the order of its
        labels is the order of the regions.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON cannot hold.
    """
    return _format(content, 0, sort_keys) + "\n"


def _format(value: Any, level: int, sort_keys: bool) -> str:
    pad, end = " " * _INDENT * (level + 1), " " * _INDENT * level
    if isinstance(value, dict) and value:
        keys = sorted(value) if sort_keys else value
        items = (f"{json.dumps(str(k))}: {_format(value[k], level + 1, sort_keys)}" for k in keys)
        return "{\n" + ",\n".join(pad + item for item in items) + f"\n{end}}}"
    if isinstance(value, list | tuple) and any(isinstance(v, dict | list | tuple) for v in value):
        items = (_format(v, level + 1, sort_keys) for v in value)
        return "[\n" + ",\n".join(pad + item for item in items) + f"\n{end}]"
    return json.dumps(value, allow_nan=False)
