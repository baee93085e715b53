"""Referencing a file instead of copying it."""

import os
import shutil
from pathlib import Path


def link_file(source: Path, link: Path) -> None:
    """Let ``link`` stand for ``source``: relative symbolic link, else hard link, else copy.

    An existing link is left as it is.
    """
    if link.is_symlink() or link.exists():
        return
    try:
        # real paths: a relative link is followed from where its folder really lies
        target = source.parent.resolve() / source.name
        link.symlink_to(os.path.relpath(target, link.parent.resolve()))
    except OSError:
        try:
            link.hardlink_to(source)
        except OSError:
            shutil.copy2(source, link)
