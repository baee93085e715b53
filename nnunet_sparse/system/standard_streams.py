"""Standard input, output and error, also where they are closed or cannot be written."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from nnunet_sparse.system.errors import naming

_NUMBERS = {"stdin": (0, "r"), "stdout": (1, "w"), "stderr": (2, "w")}


def open_closed_streams() -> None:
    """Let what the caller has closed (``>&-``, some daemons) read nothing, and write nowhere.

    Python has None in its place, to which bars of progress and others write; and the next file that
    is opened gets its number, so that libraries which report to number 2 would write into it.
    """
    for number, _ in _NUMBERS.values():
        with suppress(OSError):  # no more files: what follows says so
            _occupy(number)
    for name, (_, mode) in _NUMBERS.items():
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _occupy(number: int) -> None:
    """Open a file under a number, if there is none; files are opened under the smallest one."""
    try:
        os.fstat(number)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def flush_output() -> None:
    """Write what has been printed.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with naming(Path("standard output")):
        sys.stdout.flush()


def discard_unwritable_output() -> None:
    """Let what cannot be written go nowhere, or Python would try again when it ends, and say so."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
