"""A process that ends at its n-th change of files, which does not take place."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILLED = 77
_SECONDS = 300
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# positions of paths and of the descriptors of folders that they are relative to
_PATHS = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "open": ((0, None),),
}


class Changes:
    """Counts changes below the working directory, and ends the process at one of them."""

    def __init__(self, way: str, last: int) -> None:
        self.count, self._way, self._last = 0, way, last
        self._folder = f"{Path.cwd()}{os.sep}"
        self._written: str | None = None
        self._is_ending = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Audit hook."""
        if event not in _PATHS or self._is_ending:
            return
        if event == "open" and not arguments[2] & _WRITING:
            return
        paths = [self._path(arguments, *where) for where in _PATHS[event]]
        if not any(path.startswith(self._folder) for path in paths):
            return
        self.count += 1
        if self.count == self._last:
            self._end(paths[0])
        self._written = paths[0] if event == "open" else None

    def _path(self, arguments: tuple[Any, ...], index: int, base: int | None) -> str:
        path = arguments[index]
        if isinstance(path, int):
            return str(_opened(path))
        descriptor = -1 if base is None else arguments[base]
        folder = Path.cwd() if descriptor < 0 else _opened(descriptor)
        return os.path.normpath(folder / os.fsdecode(path))

    def _end(self, path: str) -> None:
        if self._way == "interrupt":
            raise KeyboardInterrupt
        if self._way == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        self._is_ending = True
        if self._way == "torn" and self._written and Path(self._written).is_file():
            os.truncate(self._written, Path(self._written).stat().st_size // 2)
        os._exit(KILLED)


def _opened(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def in_child(work: Callable[[], int], log: Path) -> int:
    """Do something in a process of its own; its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        signal.alarm(_SECONDS)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
