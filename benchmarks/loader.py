r"""Batches per second of SparseTrainer's data loader against nnU-Net's, without a network.

    python benchmarks/loader.py -d 500 -p nnsparsePlans -c 2d 3d_fullres

Both loaders read the same preprocessed data with the same plans in one process, in turns; the
median over the rounds is shown. nnU-Net's folders are those of the environment.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from nnunet_sparse.cli import CommandParser, positive_int, run_command
from nnunet_sparse.dataset_name import find_dataset
from nnunet_sparse.paths import NnUNetPaths, configured_paths
from nnunet_sparse.settings import STOCK


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "loader.py", "Compare the speed of data loaders.", "loader.py -d 500 -c 3d_fullres"
    )
    parser.add_argument("-d", "--dataset", required=True, metavar="ID|NAME")
    parser.add_argument("-p", "--plans", default="nnsparsePlans")
    parser.add_argument("-c", "--configurations", nargs="+", default=["2d", "3d_fullres"])
    parser.add_argument("--rounds", type=positive_int, default=9)
    parser.add_argument("--batches", type=positive_int, default=20, help="batches per round")
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = configured_paths()
    dataset = find_dataset(paths, args.dataset)
    print("| configuration | nnU-Net batches/s | SparseTrainer batches/s | ratio |")
    print("|---|---|---|---|")
    for configuration in args.configurations:
        with tempfile.TemporaryDirectory() as results:
            os.environ.update(
                paths.environment() | {"nnUNet_results": results, "nnUNet_n_proc_DA": "0"}
            )
            loaders = [
                _loader(paths, dataset, args.plans, configuration, changes)
                for changes in (STOCK, {})
            ]
        rates: list[list[float]] = [[], []]
        for _ in range(args.rounds):
            for loader, of_loader in zip(loaders, rates, strict=True):
                start = time.perf_counter()
                for _ in range(args.batches):
                    next(loader)
                of_loader.append(args.batches / (time.perf_counter() - start))
        stock, ours = map(statistics.median, rates)
        print(f"| {configuration} | {stock:.2f} | {ours:.2f} | {ours / stock:.2f} |")


def _loader(
    paths: NnUNetPaths, dataset: str, plans_name: str, configuration: str, changes: dict[str, Any]
) -> Any:
    """Training batches of SparseTrainer with changed settings."""
    import torch

    from nnunet_sparse.trainers.sparse_trainer import SparseTrainer

    torch.set_num_threads(1)
    folder = paths.preprocessed / dataset
    plans = json.loads((folder / f"{plans_name}.json").read_text(encoding="utf-8"))
    plans["continue_training"] = False
    block = plans["configurations"][configuration].setdefault("nnsparse", {})
    block.update(changes)
    dataset_json = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = SparseTrainer(plans, configuration, 0, dataset_json, torch.device("cpu"))
        trainer.initialize()
        return trainer.get_dataloaders()[0]


if __name__ == "__main__":
    sys.exit(main())
