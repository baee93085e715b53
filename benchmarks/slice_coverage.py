r"""How well do the selectors' slices represent the others, by the features they choose by?

    python benchmarks/slice_coverage.py -o FOLDER --data DATA/Dataset004_Hippocampus \
        DATA/Dataset011_BrainMALF DATA/Dataset015_MSLesion

Coverage is the mean similarity of the slices that were not chosen to the most similar one that was,
within the volume (scope volume) or in any (scope dataset). Random selectors: mean over the seeds.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_data import BenchData, is_small, open_paths

from nnunet_sparse.data.check_base import check_cases
from nnunet_sparse.data.geometry import resolve_axis
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split, keep_split
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.feature_store import slice_features
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.report.selection.coverage import coverage_curves
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import first_selector_names, selector_class
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "slice_coverage.py", "Coverage by selector.", "slice_coverage.py -o FOLDER"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["phantom:lesion"])
    parser.add_argument("--rho", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4, 0.8])
    parser.add_argument("--seeds", type=positive_int, default=3)
    parser.add_argument("--mae", default="tiny")
    parser.add_argument("-np", "--num_processes", type=positive_int, default=2)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = open_paths(args.output)
    source = BenchData(paths, Runner(args.output / "logs", paths, 2), "0.2", "SmallPlanner", ())
    lines = ["| data | scope | selector | " + " | ".join(f"rho {rho:g}" for rho in args.rho) + " |"]
    lines.append("|" + "---|" * (3 + len(args.rho)))
    for data in args.data:
        raw = RawDataset.open(paths.raw / source.base(data))
        request = SplitRequest(val=1, test=0) if is_small(raw) else SplitRequest()
        split, is_new = find_split(raw, paths, request)
        if is_new:
            keep_split(split, paths, raw.name)
        lines += _rows(paths, raw, split.train, args)
    table = "\n".join(lines) + "\n"
    write_text(args.output / "coverage.md", table)
    print(table, end="")


def _rows(
    paths: NnUNetPaths, raw: RawDataset, cases: tuple[str, ...], args: argparse.Namespace
) -> list[str]:
    checked = check_cases(raw, list(cases), args.num_processes)
    axis = resolve_axis("auto", {case_id: c.geometry for case_id, c in checked.items()})
    request = MaeRequest(args.mae)
    images = TrainingImages(paths, raw, cases, axis)
    request.train(images, args.num_processes)
    features = slice_features(images, request, args.num_processes)
    names = [name for name in first_selector_names() if not selector_class(name).looks_at_labels()]
    lines = []
    for scope in ("volume", "dataset"):
        of_seeds = [
            coverage_curves(
                raw.name,
                Variant(args.rho[0], 1.0, "fixed", seed=seed, scope=scope),
                axis,
                checked,
                features,
                args.rho,
                names,
            )
            for seed in range(args.seeds)
        ]
        for name in of_seeds[0]:
            values = np.mean([[p.coverage for p in curves[name]] for curves in of_seeds], axis=0)
            numbers = " | ".join(f"{value:.3f}" for value in values)
            lines.append(f"| {raw.suffix} | {scope} | {name} | {numbers} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
