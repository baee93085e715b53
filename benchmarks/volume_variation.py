r"""How much do volumes differ, beside slices within a volume? Phantoms against real data.

    python benchmarks/volume_variation.py -o FOLDER --data DATA/Dataset004_Hippocampus \
        DATA/Dataset011_BrainMALF phantom:lesion:0 phantom:lesion:0.5 --mae

``phantom:TASK:STRENGTH`` is a phantom of 80 x 96 x 96 voxels with that ``--variation``. Of every
training volume slices at 12 equal relative positions are described by numbers, which are
standardised over all of them. Their variance is the sum of three components, estimated as usual for
two crossed random factors without repetition: of the *volume* (what all slices of a volume have in
common), of the *position* (what slices at one relative position have in common in all volumes) and
the *rest*. Their shares are summed over the numbers, so that data sets can be compared. A further
column is the intraclass correlation of one random factor, ICC(1) (Shrout and Fleiss 1979): how
alike two slices of one volume are, wherever they lie.

Descriptions of a slice, which has been normalised and drawn on the canvas as for the masked
autoencoder: its *histogram* (deciles and mean gradient), 8 x 8 *pixels*, its *labels* (area, centre
and extent of the foreground), and with ``--mae`` the *features* of a masked autoencoder that was
trained on these volumes.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from bench_data import PHANTOM, BenchData, is_small, open_paths

from nnunet_sparse.data.geometry import read_geometry, read_spacing, resolve_axis
from nnunet_sparse.data.raw_dataset import Case, RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split, keep_split
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.dataset_tools.make_phantom import make_phantom
from nnunet_sparse.features.canvas import Canvas, plan_canvas
from nnunet_sparse.features.feature_store import slice_features
from nnunet_sparse.features.mae_presets import MAE_PRESETS
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.features.slices import read_slices
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner

NUM_POSITIONS = 12
HEADER = "| data | volumes | described by | volume | position | rest | ICC(1) |"
_SHAPE, _SPACING_MM = (80, 96, 96), (3.0, 3.75, 3.75)
_SIDE = 8


@dataclass(frozen=True)
class Shares:
    """Shares of the variance of descriptions of slices.

    Attributes
    ----------
    volume, position, rest
        Of the components, 1 in all.
    icc
        Intraclass correlation of slices of one volume.
    """

    volume: float
    position: float
    rest: float
    icc: float


def shares(described: np.ndarray) -> Shares:
    """Components of the variance of descriptions.

    Parameters
    ----------
    described
        (volumes, positions, numbers).
    """
    scale = described.std(axis=(0, 1))
    x = (described - described.mean(axis=(0, 1))) / np.where(scale > 0, scale, np.inf)
    num_volumes, num_positions, _ = x.shape
    of_volume, of_position = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True)
    mean_volume = num_positions * (of_volume**2).sum() / (num_volumes - 1)
    mean_position = num_volumes * (of_position**2).sum() / (num_positions - 1)
    rest = x - of_volume - of_position
    mean_rest = (rest**2).sum() / ((num_volumes - 1) * (num_positions - 1))
    parts = np.array(
        [
            max(0.0, (mean_volume - mean_rest) / num_positions),
            max(0.0, (mean_position - mean_rest) / num_volumes),
            mean_rest,
        ]
    )
    within = ((x - of_volume) ** 2).sum() / (num_volumes * (num_positions - 1))
    between = max(0.0, (mean_volume - within) / num_positions)
    volume, position, left = (float(part) for part in parts / parts.sum())
    return Shares(volume, position, left, float(between / (between + within)))


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "volume_variation.py", "Variation between volumes.", "volume_variation.py -o FOLDER"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["phantom:lesion:0", "phantom:lesion:0.5"])
    parser.add_argument("--volumes", type=positive_int, default=32, help="at most (default: 32)")
    parser.add_argument("--mae", action="store_true", help="describe slices by features as well")
    parser.add_argument("-np", "--num_processes", type=positive_int, default=2)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = open_paths(args.output)
    source = BenchData(paths, Runner(args.output / "logs", paths, 2), "0.2", "SmallPlanner", ())
    lines = [HEADER, "|" + "---|" * (HEADER.count(" | ") + 1)]
    for data in args.data:
        is_phantom = data.startswith(PHANTOM)
        name = _phantom(paths, data, args) if is_phantom else source.base(data)
        lines += _rows(paths, RawDataset.open(paths.raw / name), args)
        write_text(args.output / "variation.md", "\n".join(lines) + "\n")
        print("\n".join(lines[-4:]), flush=True)


def _phantom(paths: NnUNetPaths, data: str, args: argparse.Namespace) -> str:
    task, strength = data.removeprefix(PHANTOM).split(":")
    return make_phantom(
        paths,
        task,
        name=f"Phantom{task.capitalize()}{strength.replace('.', 'p')}",
        num_train=args.volumes + 4,
        num_test=2,
        shape=_SHAPE,
        spacing_mm=_SPACING_MM,
        variation=float(strength),
        num_processes=args.num_processes,
    )


def _rows(paths: NnUNetPaths, raw: RawDataset, args: argparse.Namespace) -> list[str]:
    request = SplitRequest(val=1, test=0) if is_small(raw) else SplitRequest()
    split, is_new = find_split(raw, paths, request)
    if is_new:
        keep_split(split, paths, raw.name)
    cases = split.train[: args.volumes]
    geometries = {c: read_geometry(raw.training[c].images[0], raw.reader()) for c in cases}
    axis = resolve_axis("auto", geometries)
    pixels = partial(read_slices, reader=raw.reader(), axis=axis, canvas=_canvas(raw, cases, axis))
    images = {case: raw.training[case].images for case in cases}
    drawn = map_cases(pixels, images, args.num_processes, "Reading slices")
    labels = map_cases(
        partial(_of_labels, axis=axis), {c: raw.training[c] for c in cases}, args.num_processes, ""
    )
    every: dict[str, Mapping[str, np.ndarray]] = {
        "histogram": _of_each(drawn, _histogram),
        "pixels": _of_each(drawn, _small),
        "labels": labels,
    }
    if args.mae:
        training = TrainingImages(paths, raw, tuple(cases), axis)
        request_mae = MaeRequest()
        request_mae.train(training, args.num_processes)
        every["features"] = slice_features(training, request_mae, args.num_processes).values
    rows = []
    for name, values in every.items():
        found = shares(np.stack([_at_positions(values[case]) for case in cases]))
        rows.append(
            f"| {raw.suffix} | {len(cases)} | {name} | {found.volume:.2f} | {found.position:.2f} "
            f"| {found.rest:.2f} | {found.icc:.2f} |"
        )
    return rows


def _canvas(raw: RawDataset, cases: Sequence[str], axis: int) -> Canvas:
    rows, columns = (other for other in range(3) if other != axis)
    files = [raw.training[case].images[0] for case in cases]
    shapes = [read_geometry(file, raw.reader()).shape for file in files]
    spacings = [read_spacing(file, raw.reader()) for file in files]
    return plan_canvas(
        [(shape[rows], shape[columns]) for shape in shapes],
        [(spacing[rows], spacing[columns]) for spacing in spacings],
        MAE_PRESETS["tiny"].max_side,
    )


def _at_positions(values: np.ndarray) -> np.ndarray:
    """Those of the slices at equal relative positions. [positions, numbers]"""
    middles = (2 * np.arange(NUM_POSITIONS) + 1) * len(values) // (2 * NUM_POSITIONS)
    return np.asarray(values[middles], dtype=np.float64)


def _of_each(
    drawn: Mapping[str, np.ndarray], describe: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    return {case: describe(slices[:, 0].astype(np.float32)) for case, slices in drawn.items()}


def _histogram(slices: np.ndarray) -> np.ndarray:
    """Deciles and mean gradient of slices (n, y, x)."""
    deciles = np.percentile(slices, np.arange(10, 100, 10), axis=(1, 2)).T
    steepness = [np.abs(np.diff(slices, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    return np.concatenate([deciles, np.stack(steepness, axis=1)], axis=1)


def _small(slices: np.ndarray) -> np.ndarray:
    """Slices (n, y, x) down-sampled to a few pixels."""
    import torch
    import torch.nn.functional as F

    images = torch.from_numpy(slices[:, None])
    small = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True)
    return np.asarray(small.flatten(1).numpy())


def _of_labels(case: Case, axis: int) -> np.ndarray:
    """Area, centre and extent of the foreground of each slice, relative to the slice's size."""
    assert case.label is not None
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label)))
    shown = np.moveaxis(label > 0, axis, 0)
    described = np.zeros((len(shown), 5))
    for number, mask in enumerate(shown):
        if mask.any():
            places = np.argwhere(mask) / mask.shape
            centre, extent = places.mean(axis=0), np.ptp(places, axis=0)
            described[number] = (mask.mean(), *(centre - 0.5), *extent)
    return described


if __name__ == "__main__":
    sys.exit(main())
