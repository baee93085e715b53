"""A display without a screen, on which windows are opened (Debian's package xvfb)."""

import os
import shutil
import subprocess
from importlib.util import find_spec

import pytest

needs_display = pytest.mark.skipif(
    not (os.environ.get("NNSPARSE_VIEWER") and shutil.which("Xvfb") and find_spec("napari")),
    reason="make test-viewer; needs Debian's package xvfb and what CONTRIBUTING.md names with it",
)


def open_display() -> str:
    """Name of a display that ends with the last program that uses it."""
    reader, writer = os.pipe()
    words = ["-displayfd", str(writer), "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    subprocess.Popen(
        ["Xvfb", *words, "-terminate"],
        pass_fds=[writer],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb does not start"
    return f":{number}"
