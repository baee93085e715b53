"""Reading files, and nothing that is none: pipes wait for ever, and devices never end."""

import stat
from pathlib import Path

from nnunet_sparse.system.errors import SparseError


def check_regular(file: Path) -> None:
    """Refuse pipes, devices and sockets; what is missing, or a folder, is left to who opens it.

    Raises
    ------
    SparseError
        With the file's name.
    OSError
        If it is missing, or nobody may look.
    """
    mode = file.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise SparseError(f"{file} is no file but a pipe, a device or a socket")


def read_regular(file: Path) -> bytes:
    """Content of a file.

    Raises
    ------
    SparseError
        As :func:`check_regular`.
    OSError
        If it cannot be read.
    """
    check_regular(file)
    return file.read_bytes()
