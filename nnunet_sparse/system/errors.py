"""Errors that are meant for the person at the keyboard."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SparseError(ValueError):
    """A problem the user can solve: its message names the value, what would be right, and where.

    Commands print it as one line, ``error: ...``, and end with exit status 2.
    """


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give errors of the file system that name no file (a full disk, say) this one's name."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def os_error_message(error: OSError) -> str:
    """What an error of the file system says, with the files that it names."""
    if error.filename is None and error.errno in {errno.EMFILE, errno.ENFILE}:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f"too many files are open at once, this process may open {most} (ulimit -n): raise "
            "that, or try a smaller --num_processes"
        )
    files = [str(file) for file in (error.filename, error.filename2) if file is not None]
    return f"{' -> '.join(files) or 'file system'}: {error.strerror or error}"


def memory_error_message(error: MemoryError) -> str:
    """What an error for lack of memory says: NumPy tells how much was asked for."""
    asked = f" ({error})" if str(error) else ""
    return f"there is not enough memory{asked}: try a smaller --num_processes, or a larger machine"
