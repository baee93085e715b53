"""The conversion of a tiny LiTS17, by which what all converters share is tested."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_sparse.dataset_tools.convert.convert_command import main_lits17

SIZE = ["--size", "8", "8", "6"]
Convert = Callable[..., Path]


def refused(capfd: pytest.CaptureFixture[str], source: Path, *arguments: str) -> str:
    """The one line with which the command ends."""
    capfd.readouterr()
    try:
        status: object = main_lits17([str(source), "-np", "1", *arguments])
    except SystemExit as stop:
        status = stop.code
    lines = capfd.readouterr().err.splitlines()
    lines = [line for line in lines if "split in its proportions" not in line]
    assert status == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]
