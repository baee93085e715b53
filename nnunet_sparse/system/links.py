"""Referencing a file instead of copying it."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from nnunet_sparse.system.atomic import atomic_path

_FULL = {errno.ENOSPC, errno.EDQUOT}


def link_file(source: Path, link: Path, hard: bool = False) -> None:
    """Let ``link`` stand for ``source``: relative symbolic link, else hard link, else copy.

    An existing link is left as it is. On a full disk nothing else is tried.

    Parameters
    ----------
    source
        An existing file.
    link
        Its other name.
    hard
        Try the hard link first: it outlives the source's folder.
    """
    if link.is_symlink() or link.exists():
        return
    ways = (_hard_link, _symbolic_link) if hard else (_symbolic_link, _hard_link)
    for way in ways:
        try:
            way(source, link)
        except OSError as error:
            if error.errno in _FULL:
                raise
            continue
        return
    with atomic_path(link) as temporary:
        copy_file(source, temporary)


def copy_file(source: Path, target: Path, follow_symlinks: bool = True) -> None:
    """Copy a file, with its times and permissions as far as the target's file system has them.

    FAT, exFAT and network drives refuse permissions that they cannot keep.
    """
    shutil.copyfile(source, target, follow_symlinks=follow_symlinks)
    with suppress(OSError):
        shutil.copystat(source, target, follow_symlinks=follow_symlinks)


def _hard_link(source: Path, link: Path) -> None:
    link.hardlink_to(source)


def _symbolic_link(source: Path, link: Path) -> None:
    # real paths: a relative link is followed from where its folder really lies
    target = source.parent.resolve() / source.name
    link.symlink_to(os.path.relpath(target, link.parent.resolve()))
