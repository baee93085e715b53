r"""Do the features of the masked autoencoder carry meaning? A linear probe on frozen features.

    python benchmarks/probe_features.py -o FOLDER --data DATA/Dataset004_Hippocampus phantom:lesion

Ridge regression on one half of the training volumes predicts, on the other half, the relative
position of a slice along its axis and whether it shows foreground, once from features and once from
the pixels that the network saw, down-sampled. The masked autoencoder is trained if it is not there.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from bench_data import PHANTOM, BenchData, open_paths

from nnunet_sparse.data.check_base import CheckedCase, check_cases
from nnunet_sparse.data.geometry import resolve_axis
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split, keep_split
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.canvas import Canvas
from nnunet_sparse.features.feature_store import slice_features
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.features.slices import read_slices
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner
from nnunet_sparse.system.randomness import generator, shuffled

_PENALTIES = tuple(np.logspace(-1, 5, 13))
_SIDES = (8, 14, 20)
HEADER = "| data | probe on | numbers | position R2 | position error | foreground AUC |"


@dataclass(frozen=True)
class Target:
    """What is predicted for the slices of a volume."""

    position: np.ndarray
    foreground: np.ndarray


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "probe_features.py", "Probe slice features.", "probe_features.py -o FOLDER"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["phantom:lesion"])
    parser.add_argument("--test", default="40", help="test cases (default: %(default)s)")
    parser.add_argument("--mae", default="tiny")
    parser.add_argument("--halves", type=positive_int, default=3, help="random halves, averaged")
    parser.add_argument("-np", "--num_processes", type=positive_int, default=2)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    output = args.output
    paths = open_paths(output)
    source = BenchData(paths, Runner(output / "logs", paths, 2), args.test, "SmallPlanner", ())
    lines = [HEADER, "|" + "---|" * (HEADER.count(" | ") + 1)]
    for data in args.data:
        raw = RawDataset.open(paths.raw / source.base(data))
        test = None if data.startswith(PHANTOM) else float(args.test)
        split, is_new = find_split(raw, paths, SplitRequest(test=test))
        if is_new:
            keep_split(split, paths, raw.name)
        lines += _rows(paths, raw, split.train, args)
    table = "\n".join(lines) + "\n"
    write_text(output / "features.md", table)
    print(table, end="")


def _rows(
    paths: NnUNetPaths, raw: RawDataset, cases: tuple[str, ...], args: argparse.Namespace
) -> list[str]:
    checked = check_cases(raw, list(cases), args.num_processes)
    axis = resolve_axis("auto", {case_id: c.geometry for case_id, c in checked.items()})
    request = MaeRequest(args.mae)
    training = TrainingImages(paths, raw, cases, axis)
    model = request.train(training, args.num_processes)
    features = slice_features(training, request, args.num_processes)
    canvas = Canvas(**model.read_record()["canvas"])
    read = partial(read_slices, reader=raw.reader(), axis=axis, canvas=canvas)
    images = {case_id: raw.training[case_id].images for case_id in cases}
    pixels = map_cases(read, images, args.num_processes, "Reading slices")
    targets = targets_of(checked, axis)
    half = next(iter(features.values.values())).shape[1] // 2
    inputs = {
        "mean of patch tokens": {c: v[:, :half] for c, v in features.values.items()},
        "class token": {c: v[:, half:] for c, v in features.values.items()},
        "both": features.values,
    }
    for side in _SIDES:
        inputs[f"{side} x {side} pixels"] = {c: _small(v, side) for c, v in pixels.items()}
    return [
        f"| {raw.suffix} | {name} | {next(iter(values.values())).shape[1]} | "
        + " | ".join(f"{score:.3f}" for score in probe(values, targets, args.halves))
        + " |"
        for name, values in inputs.items()
    ]


def targets_of(checked: Mapping[str, CheckedCase], axis: int) -> dict[str, Target]:
    """Positions along an axis, and where foreground is shown, by case."""
    shown = {case_id: case.foreground[axis] for case_id, case in checked.items()}
    return {c: Target((np.arange(len(f)) + 0.5) / len(f), f) for c, f in shown.items()}


def _small(slices: np.ndarray, side: int) -> np.ndarray:
    """Slices down-sampled to squares, one row of pixels each."""
    import torch
    import torch.nn.functional as F

    images = torch.from_numpy(slices.astype(np.float32))
    small = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
    return np.asarray(small.flatten(1).numpy())


def probe(
    values: Mapping[str, np.ndarray], targets: Mapping[str, Target], halves: int
) -> list[float]:
    """Position R2 and absolute error, foreground AUC, on volumes that the probe did not see."""
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = []
    for number in range(halves):
        order = shuffled(sorted(values), generator(number, "probe"))
        parts = order[: len(order) // 2], order[len(order) // 2 :]
        x, unseen = (np.concatenate([values[c] for c in part]) for part in parts)
        y, position = (np.concatenate([targets[c].position for c in part]) for part in parts)
        z, foreground = (np.concatenate([targets[c].foreground for c in part]) for part in parts)

        found, shown = (
            make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(x, wanted).predict(unseen)
            for wanted in (y, z * 2.0 - 1)
        )
        error = mean_absolute_error(position, found)
        scores.append([r2_score(position, found), error, roc_auc_score(foreground, shown)])
    return [float(score) for score in np.mean(scores, axis=0)]


if __name__ == "__main__":
    sys.exit(main())
