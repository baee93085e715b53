r"""Train on a real data set at several densities, and score on its dense test labels.

On two CPU cores (docs/results.md):

    python benchmarks/real_data.py DATA/Dataset004_Hippocampus -o FOLDER --rho 0.2

On a GPU, full-size networks, 50 epochs, sparse against dense:

    python benchmarks/real_data.py DATA/Dataset004_Hippocampus -o FOLDER --rho 0.1 0.2 1 \
        --planner SparsePlanner --set num_epochs=50

The data set is referenced through a link, never changed. A run that was stopped goes on where it
was.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench_data import BenchData, open_paths

from nnunet_sparse.evaluation.evaluate import SUMMARY_FILE
from nnunet_sparse.planners.planner_classes import default_plans_name
from nnunet_sparse.selection.slice_pictures import draw_predictions, draw_selection
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.options import add_num_processes_option
from nnunet_sparse.system.pipeline import Runner, Training, best_device, training_steps

HEADER = "| configuration | rho | label | batched IoU | Dice | HD95 mm | NSD | training s |"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "real_data.py", "Train and score on a real data set.", "real_data.py DATA -o FOLDER"
    )
    parser.add_argument("data", help="folder DatasetXXX_Name in nnU-Net's raw format")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rho", type=float, nargs="+", default=[0.2])
    parser.add_argument("--test", default="40", help="test cases (default: %(default)s)")
    parser.add_argument("-c", "--configurations", nargs="+", default=["2d", "3d_fullres"])
    parser.add_argument("--planner", default="SmallPlanner")
    parser.add_argument("--set", nargs="+", default=[], dest="settings", metavar="KEY=VALUE")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = open_paths(args.output)
    runner = Runner(args.output / "logs", paths, args.num_processes)
    source = BenchData(
        paths, runner, args.test, args.planner, tuple(args.configurations), tuple(args.settings)
    )
    plans = default_plans_name(args.planner)
    rows = []
    for rho in args.rho:
        dataset = source.variant(args.data, rho)
        draw_selection(paths.raw / dataset, args.output / f"{dataset}_slices.png")
        for configuration in args.configurations:
            predictions = args.output / "predictions" / dataset / configuration
            training = Training(dataset, configuration, plans, predictions, best_device())
            seconds, *_ = [runner.run(step) for step in training_steps(training, paths)]
            picture = args.output / f"{dataset}_{configuration}_predictions.png"
            draw_predictions(paths.raw / dataset, predictions, picture)
            rows += _rows(configuration, rho, predictions, seconds)
    table = "\n".join([HEADER, "|" + "---|" * HEADER.count(" | ") + "---|", *rows])
    write_text(args.output / "table.md", table + "\n")
    print(table)


def _rows(configuration: str, rho: float, predictions: Path, seconds: float) -> list[str]:
    scores = json.loads((predictions / SUMMARY_FILE).read_text(encoding="utf-8"))["nnsparse"]
    return [
        f"| {configuration} | {rho:g} | {row['name']} | {row['batched_IoU']:.3f} "
        f"| {row['Dice']['mean']:.3f} ({row['Dice']['std']:.3f}) | {row['HD95_mm']['mean']:.2f} "
        f"| {row['NSD']['mean']:.3f} | {seconds:.0f} |"
        for row in scores["per_label"].values()
    ]


if __name__ == "__main__":
    sys.exit(main())
