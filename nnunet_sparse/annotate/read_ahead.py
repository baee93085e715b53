"""Having files read by the operating system before they are opened."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def read_ahead(files: Iterable[Path]) -> None:
    """Ask for files to be brought into the page cache, without waiting for them."""
    for file in files:
        with suppress(OSError):
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)
