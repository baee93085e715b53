"""Errors that are meant for the person at the keyboard."""

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
    files = [str(file) for file in (error.filename, error.filename2) if file is not None]
    return f"{' -> '.join(files) or 'file system'}: {error.strerror or error}"
