import subprocess
from pathlib import Path

import pytest
from hostile.hostile_names import STRANGE

from nnunet_sparse.system.wording import command_line, duration, first_of


def test_first_items():
    assert first_of([], 2) == ""
    assert first_of(["a", 2], 2) == "a, 2"
    assert first_of(["a", "b", "c"], 2) == "a, b, ..."


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
def test_printed_commands_can_be_pasted(name: str, tmp_path: Path) -> None:
    """The shell gives each word as it was, and runs nothing of it."""
    line = command_line("printf", "%s\\0", Path(name), name)
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True, cwd=tmp_path)
    path, word = done.stdout.decode().split("\0")[:2]
    assert word == name
    assert Path(path) == Path(name)
    assert not path.startswith("-")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(40, "40 s"), (720, "12 min"), (12600, "3.5 h"), (181440, "2.1 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
