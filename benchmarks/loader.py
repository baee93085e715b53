r"""Batches per second of SparseTrainer's data loader against nnU-Net's, without a network.

    python benchmarks/loader.py -o FOLDER --data phantom:organ DATA/Dataset004_Hippocampus

Both loaders read the same preprocessed data (rho 0.1, slices at fixed intervals) with the same
plans in one process, in turns; the median over the rounds is shown.

    python benchmarks/loader.py -o FOLDER --recipes --rounds 5 --batches 8

Milliseconds of processor time for one patch of the paper's recipes, at the published sizes or those
of ``--scale``: for reading, cutting out, and each part of the augmentation, beside nnU-Net's own
augmentation of the same patches. The volumes are made for it; ``--batches`` counts patches.
"""

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench_data import BenchData, base_name, open_paths
from bench_trainer import sparse_trainer

from nnunet_sparse.planners.planner_classes import default_plans_name
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner
from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.settings import STOCK


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser("loader.py", "Compare the speed of data loaders.", "loader.py -o FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--data", nargs="+", default=["phantom:organ"], help="raw data sets, or phantom:TASK"
    )
    parser.add_argument("-c", "--configurations", nargs="+", default=["2d", "3d_fullres"])
    parser.add_argument("--planner", default="SparsePlanner")
    parser.add_argument("--test", default="40", help="test cases (default: %(default)s)")
    parser.add_argument("--rounds", type=positive_int, default=9)
    parser.add_argument("--batches", type=positive_int, default=20, help="batches per round")
    parser.add_argument(
        "--recipes", nargs="*", choices=tuple(PAPER), help="the paper's trainers, or some of them"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the recipes' patches")
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    if args.recipes is not None:
        _show_recipes(args)
        return
    paths = open_paths(args.output)
    runner = Runner(args.output / "logs", paths, 2)
    source = BenchData(paths, runner, args.test, args.planner, tuple(args.configurations))
    plans = default_plans_name(args.planner)
    lines = ["| data | configuration | nnU-Net batches/s | SparseTrainer batches/s | ratio |"]
    lines.append("|---|---|---|---|---|")
    for data in args.data:
        dataset = source.variant(data, 0.1)
        for configuration in args.configurations:
            stock, ours = _rates(args, paths, dataset, plans, configuration)
            lines.append(
                f"| {base_name(data)} | {configuration} | {stock:.2f} | {ours:.2f} "
                f"| {ours / stock:.2f} |"
            )
    table = "\n".join(lines) + "\n"
    write_text(args.output / "loader.md", table)
    print(table, end="")


def _show_recipes(args: argparse.Namespace) -> None:
    # imports nnU-Net, which takes seconds
    from recipe_batches import recipe_table

    names = args.recipes or tuple(PAPER)
    table = recipe_table(names, args.scale, args.rounds, args.batches)
    args.output.mkdir(parents=True, exist_ok=True)
    write_text(args.output / "recipe_batches.md", table)
    print(table, end="")


def _rates(
    args: argparse.Namespace, paths: NnUNetPaths, dataset: str, plans: str, configuration: str
) -> tuple[float, float]:
    """Batches per second of nnU-Net's loader and of ours."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as results:
        os.environ.update(
            paths.environment() | {"nnUNet_results": results, "nnUNet_n_proc_DA": "0"}
        )
        with contextlib.redirect_stdout(io.StringIO()):
            loaders = [
                sparse_trainer(
                    paths, dataset, plans, configuration, settings=settings
                ).get_dataloaders()[0]
                for settings in (STOCK, {})
            ]
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(args.rounds):
        for loader, of_loader in zip(loaders, rates, strict=True):
            start = time.perf_counter()
            for _ in range(args.batches):
                next(loader)
            of_loader.append(args.batches / (time.perf_counter() - start))
    return statistics.median(rates[0]), statistics.median(rates[1])


if __name__ == "__main__":
    sys.exit(main())
