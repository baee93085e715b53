"""File systems that lack what ext4 has, as FAT, exFAT, SMB and FUSE do."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

LACKING = {
    "hard links": ("link",),
    "links": ("link", "symlink"),
    "links and locks": ("link", "symlink", "flock"),
    "links, locks and permissions": ("link", "symlink", "flock", "chmod"),
}


@contextmanager
def without(*calls: str, number: int = errno.EPERM) -> Iterator[None]:
    """Let calls of the operating system fail, those for locks as if there were none."""
    with pytest.MonkeyPatch.context() as patch:
        for call in calls:
            if call == "flock":
                patch.setattr(fcntl, call, failing(errno.ENOSYS))
            else:
                patch.setattr(os, call, failing(number))
        yield


def failing(number: int) -> Callable[..., NoReturn]:
    """A call that fails with an error number, and names its arguments that are paths."""

    def fail(*arguments: Any, **_: Any) -> NoReturn:
        files = [str(a) for a in arguments if isinstance(a, str | os.PathLike)][:2]
        if len(files) == 2:
            raise OSError(number, os.strerror(number), files[0], None, files[1])
        raise OSError(number, os.strerror(number), *files)

    return fail
