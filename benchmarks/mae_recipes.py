r"""Does a cheaper masked autoencoder choose slices that are as good?

    python benchmarks/mae_recipes.py -o FOLDER --data DATA/Dataset004_Hippocampus phantom:lesion

Each network chooses slices by `ual`; how well these represent the others is measured with the
features of *another* network, the first seed of ``REFERENCE``, so that none is judged by its own
eyes. The bounds: the reference's own choice above, a network that was not trained and random slices
below; further seeds of the reference show what the seed alone makes of it. A table of coverage (as
in ``slice_coverage.py``) and of the probe of positions (as in ``probe_features.py``). It goes on
where it was stopped; networks stay in the folder.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench_data import BenchData, open_paths
from probe_features import probe, targets_of

from nnunet_sparse.data.check_base import check_cases
from nnunet_sparse.data.geometry import resolve_axis
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split, keep_split
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.feature_store import SliceFeatures, slice_features
from nnunet_sparse.features.mae_presets import MAE_PRESETS, MaePreset, MaeSize
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.report.selection.coverage import coverage
from nnunet_sparse.selection.choose_slices import choose_slices
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.atomic import write_json, write_text
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner

REFERENCE = "deep"
TINY = MAE_PRESETS["tiny"]
RECIPES: dict[str, MaePreset] = {
    # the paper's share of hidden patches, and three blocks: `tiny` of the first versions
    REFERENCE: replace(TINY, size=MaeSize(192, 3, 3, 64, 1, 1), masked_share=0.75),
    "deep, 0.9 hidden": replace(TINY, size=MaeSize(192, 3, 3, 64, 1, 1)),
    "0.75 hidden": replace(TINY, masked_share=0.75),
    "half as long": replace(TINY, patches=TINY.patches // 2),
    "untrained": replace(TINY, patches=1, min_steps=1, learning_rate=1e-12),
}
SCOPES = ("volume", "dataset")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser("mae_recipes.py", "Networks of ual.", "mae_recipes.py -o FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["phantom:lesion"])
    parser.add_argument("--recipes", nargs="+", choices=["tiny", *RECIPES], default=["tiny"])
    parser.add_argument("--rho", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--seeds", type=positive_int, default=3, help="of each recipe")
    parser.add_argument("--reference_seeds", type=positive_int, default=2)
    parser.add_argument("-np", "--num_processes", type=positive_int, default=2)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    MAE_PRESETS.update(RECIPES)
    paths = open_paths(args.output)
    source = BenchData(paths, Runner(args.output / "logs", paths, 2), "0.2", "SmallPlanner", ())
    columns = [f"{scope} {rho:g}" for scope in SCOPES for rho in args.rho]
    header = ["data", "slices chosen by", "seed", "processor s", "position R2", *columns]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for data in args.data:
        raw = RawDataset.open(paths.raw / source.base(data))
        split, is_new = find_split(raw, paths, SplitRequest())
        if is_new:
            keep_split(split, paths, raw.name)
        for row in _rows(paths, raw, split.train, args):
            lines.append("| " + " | ".join([raw.suffix, *row]) + " |")
            print(lines[-1], flush=True)
    write_text(args.output / "mae_recipes.md", "\n".join(lines) + "\n")


def _rows(
    paths: NnUNetPaths, raw: RawDataset, cases: tuple[str, ...], args: argparse.Namespace
) -> Iterator[list[str]]:
    checked = check_cases(raw, list(cases), args.num_processes)
    axis = resolve_axis("auto", {case_id: c.geometry for case_id, c in checked.items()})
    images = TrainingImages(paths, raw, cases, axis)
    targets = targets_of(checked, axis)
    reference, seconds = _train(images, REFERENCE, 0, args.num_processes)

    def row(name: str, seed: int, seconds: float | None, features: SliceFeatures) -> list[str]:
        selector = "random" if name == "random" else "ual"
        found = [
            coverage(
                reference,
                choose_slices(
                    raw.name,
                    Variant(rho, 1.0, selector, seed=seed, scope=scope),
                    axis,
                    checked,
                    None if name == "random" else features,
                ),
                list(cases),
            )
            for scope in SCOPES
            for rho in args.rho
        ]
        own = "-" if name == "random" else f"{probe(features.values, targets, halves=3)[0]:.3f}"
        spent = "-" if seconds is None else f"{seconds:.0f}"
        return [name, str(seed), spent, own, *(f"{value:.3f}" for value in found)]

    yield row(REFERENCE, 0, seconds, reference)
    for seed in range(1, args.reference_seeds):
        features, seconds = _train(images, REFERENCE, seed, args.num_processes)
        yield row(REFERENCE, seed, seconds, features)
    for name in [*args.recipes, "untrained"]:
        for seed in range(args.seeds if name != "untrained" else 1):
            features, seconds = _train(images, name, seed, args.num_processes)
            yield row(name, seed, seconds, features)
    for seed in range(args.seeds):
        yield row("random", seed, None, reference)


def _train(
    images: TrainingImages, name: str, seed: int, num_processes: int
) -> tuple[SliceFeatures, float]:
    """Features of a network, and the processor's seconds of its training."""
    request = MaeRequest(name, seed)
    file = request.model_of(images).path.with_suffix(".seconds.json")
    begin = time.process_time()
    request.train(images, num_processes)
    if not file.is_file():
        write_json(file, time.process_time() - begin)
    return slice_features(images, request, num_processes), float(read_json(file))


if __name__ == "__main__":
    sys.exit(main())
