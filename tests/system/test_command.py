import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nnunet_sparse.system.command import (
    CommandParser,
    run_command,
    run_subcommand,
    titled,
)
from nnunet_sparse.system.errors import SparseError


def parser() -> CommandParser:
    return CommandParser("nnsparse_x", "Does x.", "nnsparse_x --now")


def run_raising(error: BaseException) -> int:
    def work(_: argparse.Namespace) -> None:
        raise error

    return run_command(parser(), work, [])


@pytest.mark.parametrize(("own", "status"), [(None, 0), (0, 0), (1, 1)])
def test_status_of_the_work(own: int | None, status: int) -> None:
    assert run_command(parser(), lambda _: own, []) == status


def with_subcommands() -> CommandParser:
    result = parser()
    count = result.add_subcommand(
        "count", lambda args: len(args.words), "Counts.", "nnsparse_x count a b", "count words"
    )
    count.add_argument("words", nargs="*")
    result.add_subcommand("hidden", lambda _: None, "Does nothing.", "nnsparse_x hidden")
    return result


@pytest.mark.parametrize(("argv", "status"), [(["count", "a", "b"], 2), (["hidden"], 0)])
def test_subcommands(argv: list[str], status: int) -> None:
    assert run_command(with_subcommands(), run_subcommand, argv) == status


def test_help_of_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    shown = with_subcommands().format_help()
    assert "count words" in shown
    assert shown.count("hidden") == 0
    with pytest.raises(SystemExit):
        run_command(with_subcommands(), run_subcommand, ["count", "--help"])
    assert capsys.readouterr().out.startswith("usage: nnsparse_x count [-h]")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "error: the following arguments are required: COMMAND (see nnsparse_x --help)"),
        (["hidden", "-y"], "error: unrecognized arguments: -y (see nnsparse_x --help)"),
    ],
)
def test_bad_subcommands(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    with pytest.raises(SystemExit):
        run_command(with_subcommands(), run_subcommand, argv)
    assert capsys.readouterr().err == f"{message}\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SparseError("two\n  lines"), "error: two lines\n"),
        (PermissionError(13, "Permission denied", "/a/b"), "error: /a/b: Permission denied\n"),
        (OSError(28, "No space left on device"), "error: file system: No space left on device\n"),
        (SparseError("x" * 10**6), f"error: {'x' * 2000} ... {'x' * 2000}\n"),
        (SparseError("\x1b[2Ja\x9bb\tc\x07"), "error: \\x1b[2Ja\\x9bb\tc\\x07\n"),
        (
            MemoryError("Unable to allocate 8.00 GiB"),
            "error: there is not enough memory (Unable to allocate 8.00 GiB): try a smaller "
            "--num_processes, or a larger machine\n",
        ),
        (
            MemoryError(),
            "error: there is not enough memory: try a smaller --num_processes, or a larger "
            "machine\n",
        ),
    ],
)
def test_errors_are_one_line(
    capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    assert run_raising(error) == 2
    assert capsys.readouterr() == ("", line)


def test_terminals_that_know_ascii_only() -> None:
    program = """
from nnunet_sparse.system.command import CommandParser, run_command
run_command(CommandParser("x", "x", "x"), lambda _: print("0.5 \\u00b1 0.1"), [])
"""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True
    )
    assert done.stdout.split() == [b"0.5", b"?", b"0.1"]


def test_a_reader_that_has_seen_enough() -> None:
    program = """
import sys
from nnunet_sparse.system.command import CommandParser, run_command
work = lambda _: [print("a line") for _ in range({lines})]
sys.exit(run_command(CommandParser("x", "x", "x"), work, []))
"""
    for lines in (1, 100_000):
        command = [sys.executable, "-c", program.format(lines=lines)]
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (141, b"")
    # another pipe
    assert run_raising(BrokenPipeError(32, "Broken pipe")) == 2


def test_interrupt_and_bugs() -> None:
    assert run_raising(KeyboardInterrupt()) == 130
    with pytest.raises(ZeroDivisionError):
        run_raising(ZeroDivisionError())


def test_help_shows_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_command(parser(), lambda _: None, ["--help"])
    assert caught.value.code == 0
    assert "example:\n  nnsparse_x --now" in capsys.readouterr().out


def test_titles_have_a_column() -> None:
    assert titled("made", Path("/a")) == "made:       /a"
    assert titled("asked for", 3) == "asked for:  3"


HEAVY = {
    *("torch", "torchvision", "nnunetv2", "monai", "timm", "SimpleITK", "scipy", "sklearn"),
    *("matplotlib", "pandas", "nibabel", "pydicom", "blosc2", "cc3d", "skimage"),
}


def test_help_waits_for_no_heavy_package() -> None:
    """One process for all: what one of them imports is told apart by what was there before."""
    script = (
        "import contextlib, importlib, io, sys\n"
        "seen = set()\n"
        "for command in sys.argv[1:]:\n"
        "    module, _, function = command.partition(':')\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as shown:\n"
        "        try:\n"
        "            getattr(importlib.import_module(module), function)(['--help'])\n"
        "        except SystemExit as end:\n"
        "            assert end.code == 0 and 'usage:' in shown.getvalue()\n"
        "    now = {name.partition('.')[0] for name in sys.modules}\n"
        "    print(command, *sorted(now - seen))\n"
        "    seen |= now\n"
    )
    project = Path(__file__).parents[2] / "pyproject.toml"
    ours = sorted(set(tomllib.loads(project.read_text("utf-8"))["project"]["scripts"].values()))
    result = subprocess.run(
        [sys.executable, "-c", script, *ours], capture_output=True, encoding="utf-8", check=True
    )
    imported = {line.split()[0]: set(line.split()[1:]) for line in result.stdout.splitlines()}
    assert sorted(imported) == ours
    assert len(ours) > 20
    assert {command: found & HEAVY for command, found in imported.items() if found & HEAVY} == {}


@pytest.mark.slow
def test_commands_that_need_no_network_import_none(tmp_path: Path) -> None:
    """Nor do their workers: torch and MONAI take longer than what they do."""
    script = Path(__file__).with_name("light_commands.py")
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
