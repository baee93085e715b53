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

from nnunet_sparse.atomic import write_text
from nnunet_sparse.cli import CommandParser, add_num_processes, run_command
from nnunet_sparse.dataset_name import names_with_suffix, parse_dataset_name
from nnunet_sparse.evaluate import SUMMARY_FILE
from nnunet_sparse.paths import NnUNetPaths
from nnunet_sparse.pictures import draw_predictions, draw_selection
from nnunet_sparse.pipeline import Runner, Step, Training, best_device, training_steps, words
from nnunet_sparse.variant import Variant

PLANS = {"SmallPlanner": "nnsparseSmallPlans", "SparsePlanner": "nnsparsePlans"}
HEADER = "| configuration | rho | label | batched IoU | Dice | HD95 mm | NSD | training s |"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "real_data.py", "Train and score on a real data set.", "real_data.py DATA -o FOLDER"
    )
    parser.add_argument("data", type=Path, help="folder DatasetXXX_Name in nnU-Net's raw format")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rho", type=float, nargs="+", default=[0.2])
    parser.add_argument("--test", default="40", help="test cases (default: %(default)s)")
    parser.add_argument("-c", "--configurations", nargs="+", default=["2d", "3d_fullres"])
    parser.add_argument("--planner", choices=sorted(PLANS), default="SmallPlanner")
    parser.add_argument("--set", nargs="+", default=[], dest="settings", metavar="KEY=VALUE")
    add_num_processes(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = NnUNetPaths.below(args.output)
    paths.make_folders()
    paths.export()
    base = paths.raw / args.data.name
    if not base.is_symlink():
        base.symlink_to(args.data.resolve())
    runner = Runner(args.output / "logs", paths, args.num_processes)
    plans, base_name = PLANS[args.planner], parse_dataset_name(base.name)[1]
    rows = []
    for rho in args.rho:
        make = "nnsparse_make_dataset -d {} --rho {} --selector fixed --test {} -np {np}"
        runner.run(Step(f"rho {rho} make", words(make, base.name, rho, args.test)))
        suffix = Variant(rho, 1, "fixed").dataset_suffix(base_name)
        (dataset,) = names_with_suffix(paths.raw, suffix)
        settings = f"--set {' '.join(args.settings)}" if args.settings else ""
        plan = f"nnsparse_plan_and_preprocess -d {{}} -pl {args.planner} {settings} -np {{np}}"
        configurations = f" -c {' '.join(args.configurations)}"
        runner.run(Step(f"rho {rho} plan", words(plan + configurations, dataset)))
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
