"""System calls that fail."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def fail_once_to_name(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the next rename to a path fail, as on a disk with errors; those after it do not."""
    left = [folder]

    def failing(rename: Any) -> Any:
        def renamed(source: Any, target: Any, **options: Any) -> None:
            if left and Path(target) == folder:
                left.pop()
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))
            rename(source, target, **options)

        return renamed

    for name in ("rename", "replace"):
        patch.setattr(os, name, failing(getattr(os, name)))


def deny(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let nobody look into a folder, the superuser neither."""
    scandir = os.scandir

    def denied(path: Path | str | int = ".") -> "Iterator[os.DirEntry[str]]":
        if not isinstance(path, int) and Path(path) == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    patch.setattr(os, "scandir", denied)
