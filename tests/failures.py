"""System calls that fail."""

import errno
import os
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
