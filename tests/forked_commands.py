"""Commands in processes of their own, which need not import torch and nnU-Net again.

Each is a fork of a process that has imported them once. What a command is given, sets and leaves
is as in a process of its own, and so are its output and its status. As in other tests, pools of
nnU-Net, whose processes import for seconds, are threads, and what says nothing of tiny data sets is
left out. ``-npp 0 -nps 0`` keeps ``nnUNetv2_predict`` from starting further processes.

As a program, it is the process that is forked.
"""

import atexit
import gc
import os
import pkgutil
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nnunet_shortcuts import draw_few_samples, draw_no_progress
from training_fixtures import use_threads

from nnunet_sparse.grid import job_client
from nnunet_sparse.grid.job_server import JobServer
from nnunet_sparse.system import pipeline

_IMPORTED = (
    "nnunetv2.inference.predict_from_raw_data",
    "nnunetv2.run.run_training",
    "nnunet_sparse.campaign.import_command",
    "nnunet_sparse.campaign.worklist_command",
    "nnunet_sparse.dataset_tools.interpolate",
    "nnunet_sparse.dataset_tools.make_dataset",
    "nnunet_sparse.doctor.examine",
    "nnunet_sparse.evaluation.evaluate",
    "nnunet_sparse.planners.plan_and_preprocess",
    "nnunet_sparse.trainers.sparse_trainer",
)
_SEARCHED = "nnunetv2.training.nnUNetTrainer"


def run_forked(
    *words: object, status: int | None = 0, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a console script of ours or of nnU-Net in the working directory.

    Parameters
    ----------
    words
        Name and arguments.
    status
        That it has to end with; None for any.
    environment
        Variables; by default those of this process.
    """
    process = start_forked(*words, environment=environment)
    shown, said = process.communicate()
    assert status in {None, process.returncode}, shown + said
    return subprocess.CompletedProcess(process.args, process.returncode, shown, said)


def start_forked(
    *words: object, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Start a console script; what it prints is to be read."""
    return subprocess.Popen(
        _asking(words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
    )


def run_pipelines_forked(monkeypatch: pytest.MonkeyPatch, but: Collection[str] = ()) -> None:
    """Let commands of a pipeline be forks, all but those named."""

    def start(words: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
        name = Path(words[0]).name
        return subprocess.Popen(words if name in but else _asking((name, *words[1:])), **options)

    stand_in = SimpleNamespace(PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT, Popen=start)
    monkeypatch.setattr(pipeline, "subprocess", stand_in)


def _asking(words: Sequence[object]) -> list[str]:
    """Command line that asks for a fork."""
    return [sys.executable, "-I", "-S", job_client.__file__, _address(), *map(str, words)]


@cache
def _address() -> str:
    """Where the process is asked; it ends with this one."""
    address = f"nnsparse-test-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{address}")
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "nnUNet_def_n_proc": "1"},
        )
    atexit.register(process.wait)
    atexit.register(process.kill)  # before it is waited for
    return address


def _import() -> dict[str, str]:
    """Import what commands need, and all that nnU-Net looks through for a trainer."""
    for module in _IMPORTED:
        import_module(module)
    searched = import_module(_SEARCHED)
    for found in pkgutil.walk_packages(searched.__path__, f"{_SEARCHED}."):
        import_module(found.name)
    for leave_out in (draw_few_samples, draw_no_progress):
        leave_out(pytest.MonkeyPatch())
    return {}


def main() -> None:
    """Fork for each command until told to end."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    request = JobServer(listener, os.getppid(), _import).serve()
    if request is None:
        return
    # those of the forked process are of another kind than the pipes in their place
    for number, stream in enumerate(("stdout", "stderr"), 1):
        setattr(sys, stream, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    gc.unfreeze()  # or what is left of it at the end is told as leaked
    use_threads(pytest.MonkeyPatch())
    name, *_ = sys.argv = request.arguments
    (entry,) = entry_points(group="console_scripts", name=name)
    sys.exit(entry.load()())


if __name__ == "__main__":
    main()
