"""Running commands by their names, which are the same wherever the code of this project lies."""

import contextlib
import hashlib
import io
import os
import shlex
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from forked_commands import run_forked

PATHS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")

State = dict[str, tuple[int, str]]


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the working directory, nnU-Net's folders below it, and one process for everything."""
    # so that what a command exports is taken back
    variables = {"nnUNet_extTrainer": ""} | {name: str(folder / name) for name in PATHS}
    variables |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}
    for name, value in (variables | {"nnUNet_compile": "f"}).items():
        monkeypatch.setenv(name, value)
    for name in PATHS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)


def run(line: str, *statuses: int) -> str:
    """Run a command in this process; returns what it prints."""
    name, *arguments = shlex.split(line)
    (entry,) = entry_points(group="console_scripts", name=name)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert entry.load()(arguments) in (statuses or (0,)), line
    return said.getvalue()


def nnunet(line: str) -> str:
    """Run a command of nnU-Net, which finds our trainers as users are told to let it."""
    name, *arguments = shlex.split(f"{line} -device cpu")
    (export,) = (x for x in run("nnsparse_env").splitlines() if "nnUNet_extTrainer" in x)
    trainers = shlex.split(export)[1].partition("=")[2]
    environment = os.environ | {"nnUNet_extTrainer": trainers}
    return run_forked(name, *arguments, environment=environment).stdout


def state(*folders: Path, times: bool = True) -> State:
    """Time and content of every file; locks left out."""
    return {
        str(path): (times * path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


@contextlib.contextmanager
def nothing_changes(*folders: Path, times: bool = True) -> Iterator[None]:
    """Check that files, and by default their times, are the same afterwards."""
    before = state(*folders, times=times)
    assert before
    yield
    assert state(*folders, times=times) == before
