"""Telling which files were written since, whatever the resolution of the file system's clock."""

import os
from pathlib import Path

# no file that is written in a test has this time
LONG_AGO_NS = 10**18


def date_back(path: Path) -> None:
    """Let a file, or all below a folder, seem to be of 2001."""
    for file in (path, *path.rglob("*")):
        os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS), follow_symlinks=False)


def written_since(path: Path) -> set[Path]:
    """The file, or what of a folder and all below it, that has changed since it was dated back."""
    return {f for f in (path, *path.rglob("*")) if f.lstat().st_mtime_ns != LONG_AGO_NS}
