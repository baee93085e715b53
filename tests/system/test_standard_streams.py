import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from nnunet_sparse.system.command import CommandParser, run_command

def work(_):
    with open(sys.argv[1], "w") as file:
        print("a result")
        print("a message", file=sys.stderr)
        os.write(2, b"of a library")
        file.write("content " + sys.stdin.read())

sys.exit(run_command(CommandParser("x", "x", "x"), work, []))
"""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_what_is_closed_takes_nothing_and_gets_no_file(tmp_path: Path, closed: str) -> None:
    file = tmp_path / "file"
    shell = ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", PROGRAM, str(file)]
    done = subprocess.run(shell, input=b"", capture_output=True, check=False)
    assert done.returncode == 0
    assert file.read_text("utf-8") == "content "
    assert done.stdout == (b"" if ">&-" in closed.split() else b"a result\n")
    assert done.stderr == (b"" if "2>&-" in closed.split() else b"a message\nof a library")


@pytest.mark.parametrize("word", ["[]", "['--help']"])
def test_a_full_disk_behind_standard_output(word: str) -> None:
    """An error of the command, and no second one when Python ends."""
    program = (
        "import sys; from nnunet_sparse.system.command import CommandParser, run_command\n"
        "sys.exit(run_command(CommandParser('x', 'x', 'x'), lambda _: print('a result'), "
        f"{word}))"
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == b"error: standard output: No space left on device\n"
