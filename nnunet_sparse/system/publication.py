"""A folder appears whole or not at all, and a call that was killed is gone on with.

The *target* is the folder to be made. It is built beside its place as a hidden folder, the
*partial*, which holds a *marker* from its first moment to its last: a file that says what it is to
become, and of which *request*. When the partial is complete it is renamed to the target. All this
is done under a lock of the target or of its name.

One rule holds for everything that is published:

- A call that is killed or interrupted (Ctrl-C) leaves the partial. The next call of the same
  request goes on there, one of another request makes it anew.
- A call that fails removes the partial, unless it is complete and only the renaming has failed. A
  target that was to be replaced stays as it was.

The next call finds what there is by names and markers alone:

=============================================  ================================================
found                                          what the next call does
=============================================  ================================================
``.nnsparse_begin_KEY``                        removes it: a partial that had no marker yet
partial with a marker                          goes on there, or removes it
``.nnsparse_old_TARGET`` and no target         renames it back: killed between two renames
``.nnsparse_old_TARGET`` beside the target     removes it: the target has been replaced
target with a marker                           removes the marker: the target is complete
``.nnsparse_gone_...``                         goes on removing it
=============================================  ================================================

Folders are renamed to ``.nnsparse_gone_...`` before anything in them is removed, so that none of
the others is ever half there.
"""

import errno
import itertools
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nnunet_sparse.system.atomic import as_json, canonical_json, remove_leftovers
from nnunet_sparse.system.errors import SparseError, naming
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.locks import locked

logger = logging.getLogger(__name__)

MARKER = ".nnsparse_staged.json"
"""File in a partial that holds its request."""

_BEGIN, _OLD, _GONE = ".nnsparse_begin_", ".nnsparse_old_", ".nnsparse_gone_"
_PREFIX = ".nnsparse_"
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST}


@contextmanager
def publication(
    target: Path,
    partial: Path,
    request: Mapping[str, Any],
    *,
    resume: bool = True,
    waiting: str | None = None,
) -> Iterator["Publication"]:
    """Hold the lock of a target, and set right what killed calls have left of it.

    Parameters
    ----------
    target
        The folder to be made. Folders above it are made where they are missing, and removed again
        if the target is not made.
    partial
        Hidden folder beside it in which it is built.
    request
        All that decides its content.
    resume
        Whether what a killed call of the same request has left can be gone on with.
    waiting
        Logged if another process holds the lock.

    Yields
    ------
    Publication
        To look at the target, and to make it.

    Raises
    ------
    SparseError
        If a file is where a folder above the target should be, or a broken link where the target.
    """
    _check_target(target)
    with (
        _existing(target.parent),
        locked(target.parent / f"{_PREFIX}{target.name}.lock", waiting),
    ):
        recover(target)
        clear(target.parent, target.name)
        yield Publication(target, partial, request, resume)


class Publication:
    """What :func:`publication` gives.

    Parameters
    ----------
    target, partial, request, resume
        As for :func:`publication`.
    """

    def __init__(
        self, target: Path, partial: Path, request: Mapping[str, Any], resume: bool
    ) -> None:
        self._target, self._partial = target, partial
        self._request, self._resume = request, resume

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Give the partial, which becomes the target when the block ends without an error.

        Yields
        ------
        Path
            Folder to write to; empty but for the marker unless a killed call is gone on with.
        """
        partial = self._partial
        if not (self._resume and read_request(partial) == as_json(self._request)):
            discard(partial)
            if not begin(partial, self._request, self._target.name):
                raise SparseError(f"{partial} is in the way, and cannot be removed")
        with completing(partial, self._target):
            yield partial


def begin(partial: Path, request: Mapping[str, Any], key: str) -> bool:
    """Make an empty partial, with its marker in it, in one step.

    Parameters
    ----------
    partial
        The folder; an empty one is taken over.
    request
        What it is to become.
    key
        Name of the lock that is held.

    Returns
    -------
    bool
        False if there is such a folder, with something in it.
    """
    fresh = partial.with_name(f"{_BEGIN}{key}")
    fresh.mkdir()
    try:
        with naming(fresh / MARKER):
            (fresh / MARKER).write_text(canonical_json(as_json(request)), encoding="utf-8")
        fresh.rename(partial)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if error.errno in _TAKEN:
            return False
        raise
    return True


@contextmanager
def completing(
    partial: Path, target: Path, commit: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Rename a partial to its target when the block ends without an error.

    Parameters
    ----------
    partial
        A folder that :func:`begin` has made.
    target
        Its name when it is complete; what has this name is replaced.
    commit
        Called when it is complete, before it is renamed. It may be called again after a kill.
    """
    try:
        yield
        for folder, _, _ in os.walk(partial):  # of files that a killed call had just finished
            remove_leftovers(Path(folder))
        commit()
    except Exception:
        with suppress(OSError):
            discard(partial)
        raise
    # a failure from here on leaves the partial, which is complete and has been committed
    _rename(partial, target)
    recover(target)


def _rename(partial: Path, target: Path) -> None:
    """Give a partial its name; a target that has the name is kept under another one."""
    old = _old(target)
    # an empty folder is replaced by a rename
    if os.path.lexists(target) and not _is_empty(target):
        target.rename(old)
    try:
        partial.rename(target)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(target):
            old.rename(target)
        raise


def recover(target: Path) -> None:
    """Finish or undo the replacement of a target by a call that was killed; its lock is held."""
    old = _old(target)
    if os.path.lexists(old) and not os.path.lexists(target):
        old.rename(target)
        return
    with suppress(OSError):
        discard(old)
    with suppress(OSError):
        (target / MARKER).unlink(missing_ok=True)


def replaced_targets(folder: Path, pattern: str) -> list[Path]:
    """Targets whose replacement was killed, by a pattern of their names."""
    return [folder / old.name.removeprefix(_OLD) for old in sorted(folder.glob(f"{_OLD}{pattern}"))]


def clear(folder: Path, key: str) -> None:
    """Remove what killed calls had begun under the lock of that name, or were removing."""
    for leftover in (folder / f"{_BEGIN}{key}", *folder.glob(f"{_GONE}*")):
        _remove(leftover)


def discard(folder: Path) -> None:
    """Remove a folder so that a kill never leaves a part of it under its name.

    Of a link to a folder the link goes, and the folder stays. What is protected against writing
    stays under the other name.
    """
    if not (folder.is_dir() or folder.is_symlink()):
        return
    name = f"{_GONE}{folder.name.removeprefix(_PREFIX)}"
    for number in itertools.count(1):
        gone = folder.with_name(name if number == 1 else f"{name}_{number}")
        _remove(gone)
        if not os.path.lexists(gone):  # what cannot be removed is in the way for good
            break
    folder.rename(gone)
    _remove(gone)
    if os.path.lexists(gone):
        logger.warning("%s is of no use any more and cannot be removed; delete it", gone)


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
    elif folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)


def read_request(partial: Path) -> Any:
    """What a partial is to become; None if it has no marker."""
    return read_json(partial / MARKER)


def _old(target: Path) -> Path:
    return target.with_name(f"{_OLD}{target.name}")


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())


def _check_target(target: Path) -> None:
    if target.is_symlink() and not target.exists():
        raise SparseError(f"{target} is a link to {target.readlink()}, which does not exist")


@contextmanager
def _existing(folder: Path) -> Iterator[None]:
    """Let a folder exist; those that were made for it are removed again if they stay empty."""
    around = [folder, *folder.parents]
    missing = [path for path in around if not (path.exists() or path.is_symlink())]
    if not (nearest := around[len(missing)]).is_dir():
        raise SparseError(f"{nearest} is no folder")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in missing:
            try:
                path.rmdir()
            except OSError:
                break
