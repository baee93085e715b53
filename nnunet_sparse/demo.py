"""``nnsparse_demo``: from a phantom to the scores of a network trained on a fifth of its slices.

Runs the commands that a user would type, shows each of them, and keeps their output in log files.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_sparse.phantoms import PHANTOM_TASKS
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.options import add_num_processes_option, add_seed_option

PLANS = "nnsparseSmallPlans"
PHANTOM = "--shape 32 80 80"
PLANNING = (
    "-c 2d -pl SmallPlanner --set num_epochs=12 num_iterations_per_epoch=40 "
    "num_val_iterations_per_epoch=4 save_every=2"
)


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
        "--task",
        choices=sorted(PHANTOM_TASKS),
        default="lesion",
        help="phantom (default: %(default)s)",
    )
    parser.add_argument(
        "--rho",
        type=float,
        default=0.2,
        help="share of the slices that are annotated (default: %(default)s)",
    )
    add_seed_option(parser, "the phantom and of the selection")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.evaluation.score_table import format_table

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
    from nnunet_sparse.data.dataset_name import names_with_suffix
    from nnunet_sparse.evaluation.evaluate import SUMMARY_FILE
    from nnunet_sparse.report.selection.dataset_pictures import draw_predictions, draw_selection
    from nnunet_sparse.selection.variant import Variant
    from nnunet_sparse.system.devices import best_device
    from nnunet_sparse.system.json_files import load_json
    from nnunet_sparse.system.paths import NnUNetPaths
    from nnunet_sparse.system.pipeline import (
        Command,
        Runner,
        TrainingRequest,
        training_commands,
        words,
    )

    variant = Variant(rho, 1.0, "fixed", seed=seed)  # refuses a bad rho
    folder = folder.resolve()
    paths = NnUNetPaths.below(folder)
    paths.make_folders()
    runner = Runner(folder / "logs", paths, num_processes)
    phantom = f"Phantom{task.capitalize()}" + (f"Seed{seed}" if seed else "")
    runner.run(
        Command(
            "make a phantom",
            words(
                f"nnsparse_make_phantom {{}} {PHANTOM} --name {{}} --seed {{}} -np {{np}}",
                task,
                phantom,
                seed,
            ),
        )
    )
    (base,) = names_with_suffix(paths.raw, phantom)
    runner.run(
        Command(
            "annotate some slices",
            words("nnsparse_make_dataset -d {} --rho {} --seed {} -np {np}", base, rho, seed),
        )
    )
    suffix = variant.dataset_suffix(phantom)
    (dataset,) = names_with_suffix(paths.raw, suffix)
    pictures = (folder / f"{suffix}_slices.png", folder / f"{suffix}_predictions.png")
    draw_selection(paths.raw / dataset, pictures[0])
    predictions = folder / "predictions" / dataset
    runner.run(
        Command(
            "plan and preprocess",
            words(f"nnsparse_plan_and_preprocess -d {{}} {PLANNING} -np {{np}}", dataset),
        )
    )
    training = TrainingRequest(dataset, "2d", PLANS, predictions, best_device().type)
    for command in training_commands(training, paths):
        runner.run(command)
    draw_predictions(paths.raw / dataset, predictions, pictures[1])
    summary = load_json(predictions / SUMMARY_FILE)
    return DemoResult(summary["nnsparse"], pictures)
