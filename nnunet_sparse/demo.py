"""``nnsparse_demo``: from a phantom to the scores of a network trained on a fifth of its slices.

Runs the commands that a user would type, shows each of them, and keeps their output in log files.
"""

import argparse
import json
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nnunet_sparse.cli import (
    CommandParser,
    add_num_processes,
    non_negative_int,
    run_command,
)
from nnunet_sparse.dataset_name import dataset_names, parse_dataset_name
from nnunet_sparse.env import training_environment
from nnunet_sparse.errors import SparseError
from nnunet_sparse.evaluate import SUMMARY_FILE
from nnunet_sparse.evaluation_table import format_table
from nnunet_sparse.paths import NnUNetPaths
from nnunet_sparse.phantoms import TASKS
from nnunet_sparse.variant import Variant

logger = logging.getLogger(__name__)

PLANS = "nnsparseSmallPlans"
TRAINER = "SparseTrainer"
PHANTOM = "--shape 32 80 80"
PLANNING = (
    "-c 2d -pl SmallPlanner --set num_epochs=12 num_iterations_per_epoch=40 "
    "num_val_iterations_per_epoch=4 save_every=2"
)


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes
    ----------
    title
        What it does, for the log.
    command
        The command and its arguments.
    output
        File that is there once it is complete; None for commands that find that out themselves.
    """

    title: str
    command: list[str]
    output: Path | None = None


@dataclass(frozen=True)
class DemoResult:
    """What the demo ends with: our part of the summary, and the pictures."""

    scores: dict[str, Any]
    pictures: tuple[Path, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_demo",
        "Make a phantom, annotate a share of its slices, train on them, predict the test cases and "
        "score them. Ends with a table of scores and two pictures. A demo that was stopped goes on "
        "where it was.",
        "nnsparse_demo --output nnsparse_demo",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("nnsparse_demo"), help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--task", choices=sorted(TASKS), default="lesion", help="phantom (default: %(default)s)"
    )
    parser.add_argument(
        "--rho",
        type=float,
        default=0.2,
        help="share of the slices that are annotated (default: %(default)s)",
    )
    parser.add_argument("--seed", type=non_negative_int, default=0, help="default: %(default)s")
    add_num_processes(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    start = time.monotonic()
    demo = run_demo(
        args.output,
        task=args.task,
        rho=args.rho,
        seed=args.seed,
        num_processes=args.num_processes,
    )
    print(format_table(demo.scores))
    print()
    for picture in demo.pictures:
        print(f"picture: {picture}")
    print(f"finished after {time.monotonic() - start:.0f} s")


def run_demo(
    folder: Path,
    *,
    task: str = "lesion",
    rho: float = 0.2,
    seed: int = 0,
    num_processes: int = 1,
) -> DemoResult:
    """Run the demo, or what is left of it.

    Parameters
    ----------
    folder
        Folder for everything that is made.
    task
        Name of the phantom.
    rho
        Density of annotation.
    seed
        Seed of the phantom and of the selection.
    num_processes
        Number of processes of each command.

    Returns
    -------
    DemoResult
        Scores and pictures.

    Raises
    ------
    SparseError
        If one of the commands fails.
    """
    from nnunet_sparse.pictures import draw_predictions, draw_selection

    folder = folder.resolve()
    paths = NnUNetPaths.below(folder)
    paths.make_folders()
    runner = _Runner(folder / "logs", paths, num_processes)
    phantom = f"Phantom{task.capitalize()}"
    runner.run(
        Step(
            "make a phantom",
            _words(f"nnsparse_make_phantom {{}} {PHANTOM} --seed {{}} -np {{np}}", task, seed),
        )
    )
    base = _find(paths.raw, phantom)
    runner.run(
        Step(
            "annotate some slices",
            _words("nnsparse_make_dataset -d {} --rho {} --seed {} -np {np}", base, rho, seed),
        )
    )
    suffix = Variant(rho, 1.0, "fixed", seed=seed).dataset_suffix(phantom)
    dataset = _find(paths.raw, suffix)
    pictures = (folder / f"{suffix}_slices.png", folder / f"{suffix}_predictions.png")
    draw_selection(paths.raw / dataset, pictures[0])
    predictions = folder / "predictions" / dataset
    for step in training_steps(dataset, paths, predictions):
        runner.run(step)
    draw_predictions(paths.raw / dataset, predictions, pictures[1])
    summary = json.loads((predictions / SUMMARY_FILE).read_text(encoding="utf-8"))
    return DemoResult(summary["nnsparse"], pictures)


def training_steps(dataset: str, paths: NnUNetPaths, predictions: Path) -> list[Step]:
    """Steps from a sparse data set to the scores of a network trained on it."""
    trained = paths.results / dataset / f"{TRAINER}__{PLANS}__2d" / "fold_0"
    raw = paths.raw / dataset
    network = f"-tr {TRAINER} -p {PLANS} -device {_device()}"
    begun = any((trained / f"checkpoint_{name}.pth").exists() for name in ("latest", "final"))
    return [
        Step(
            "plan and preprocess",
            _words(f"nnsparse_plan_and_preprocess -d {{}} {PLANNING} -np {{np}}", dataset),
        ),
        Step(
            "train",
            _words(f"nnUNetv2_train {{}} 2d 0 {network} {'--c' if begun else ''}", dataset),
            trained / "validation" / "summary.json",
        ),
        Step(
            "predict",
            _words(
                f"nnUNetv2_predict -i {{}} -o {{}} -d {{}} -c 2d -f 0 {network}",
                raw / "imagesTs",
                predictions,
                dataset,
            ),
        ),
        Step(
            "score",
            _words("nnsparse_evaluate {} {} --overwrite -np {np}", raw / "labelsTs", predictions),
        ),
    ]


def _words(template: str, *values: object) -> list[str]:
    """Words of a command, with each ``{}`` replaced by a value, which may hold spaces."""
    rest = iter(values)
    return [str(next(rest)) if word == "{}" else word for word in template.split()]


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


class _Runner:
    """Runs steps one after the other, with their output in log files."""

    def __init__(self, logs: Path, paths: NnUNetPaths, num_processes: int) -> None:
        self.logs = logs
        self.num_processes = str(num_processes)
        self.count = 0
        self.environment = {
            "OMP_NUM_THREADS": self.num_processes,
            "nnUNet_n_proc_DA": self.num_processes,
            "nnUNet_def_n_proc": self.num_processes,
            **os.environ,
            **training_environment(paths),
            "PYTHONUNBUFFERED": "1",
        }
        logs.mkdir(exist_ok=True)

    def run(self, step: Step) -> None:
        self.count += 1
        command = [self.num_processes if word == "{np}" else word for word in step.command]
        logger.info("[%d] %s\n    %s", self.count, step.title, shlex.join(command))
        if step.output is not None and step.output.exists():
            logger.info("    done before")
            return
        log = self.logs / f"{self.count}_{step.title.replace(' ', '_')}.txt"
        start = time.monotonic()
        status = self._run_logged(command, log, step.title)
        if status != 0:
            raise SparseError(
                f"{command[0]} failed with exit status {status}, its last line: {_last_line(log)} "
                f"(all of it: {log})"
            )
        logger.info("    %.0f s, log: %s", time.monotonic() - start, log)

    def _run_logged(self, command: list[str], log: Path, title: str) -> int:
        program = Path(sys.executable).with_name(command[0])
        with (
            log.open("w", encoding="utf-8") as file,
            subprocess.Popen(
                [str(program), *command[1:]],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
            tqdm(
                desc=title, bar_format="    {elapsed} {postfix}", leave=False, disable=None
            ) as bar,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                bar.set_postfix_str(line.strip()[:100])
        return process.returncode


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    return lines[-1] if lines else "(none)"


def _find(raw: Path, suffix: str) -> str:
    """Name of the data set with that suffix, which a step has just made."""
    return next(name for name in dataset_names(raw) if parse_dataset_name(name)[1] == suffix)
