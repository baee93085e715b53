"""A display without a screen, on which windows are opened (Debian's package xvfb)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

needs_display = pytest.mark.skipif(
    not (os.environ.get("NNSPARSE_VIEWER") and shutil.which("Xvfb") and find_spec("napari")),
    reason="make test-viewer; needs Debian's package xvfb and what CONTRIBUTING.md names with it",
)


@contextmanager
def display() -> Iterator[str]:
    """Name of a display that ends with the block."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1400x900x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            number = answer.readline().strip()
        assert number, "Xvfb does not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()
