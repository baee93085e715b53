r"""Time and disk that a further variant costs, against nnU-Net's preprocessing of the same data.

    python benchmarks/preprocessing.py -o FOLDER --data DATA/Dataset004_Hippocampus

Every figure is that of a process with its start-up, the median of three rounds in which the
competitors take turns. Plans are nnU-Net's own, made once and used by both. Without ``--data`` only
the phantoms are measured.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_sparse.data.split import SplitRequest
from nnunet_sparse.dataset_tools.make_dataset import make_dataset
from nnunet_sparse.dataset_tools.make_phantom import make_phantom
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.env import training_environment
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

RHO, NUM_PHANTOMS, SIDE = 0.1, 8, 256
CONFIGURATION, PLANS = "3d_fullres", "nnUNetPlans"
IDENTIFIER = "benchmark"
OURS = """
import json, sys
from pathlib import Path
from nnunet_sparse.planners.sparse_preprocessor import SparsePreprocessor
from nnunet_sparse.data.raw_dataset import RawDataset
raw, plans, configuration, output, num_processes = sys.argv[1:]
SparsePreprocessor().run(
    RawDataset.open(Path(raw)),
    json.loads(Path(plans).read_text("utf-8")),
    configuration,
    Path(output),
    int(num_processes),
)
"""
HEADER = (
    "| data | cases | nnU-Net s | first variant s | further variant s | time ratio "
    "| nnU-Net MB | further variant MB | disk ratio |"
)


@dataclass
class Times:
    """Seconds of each round."""

    stock: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    further: list[float] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "preprocessing.py", "Time and disk of a further variant.", "preprocessing.py -o FOLDER"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for all data")
    parser.add_argument("--data", type=Path, help="dense data set in nnU-Net's raw format")
    parser.add_argument("--rounds", type=positive_int, default=3)
    parser.add_argument(
        "--side", type=positive_int, default=SIDE, help="voxels of a phantom's side"
    )
    parser.add_argument("-np", "--num_processes", type=positive_int, default=2)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = NnUNetPaths.below(args.output)
    paths.make_folders()
    os.environ.update(training_environment(paths))
    rows = []
    if args.data is not None:
        base = paths.raw / args.data.name
        if not base.is_symlink():
            base.symlink_to(args.data.resolve())
        rows.append(_measure(paths, base.name, SplitRequest(), args))
    name = make_phantom(
        paths,
        num_train=NUM_PHANTOMS,
        num_test=0,
        shape=(args.side,) * 3,
        num_processes=args.num_processes,
    )
    rows.append(_measure(paths, name, SplitRequest(val=1, test=0), args))
    print("\n".join([HEADER, "|" + "---|" * (HEADER.count(" | ") + 1), *rows]))


def _measure(paths: NnUNetPaths, base: str, request: SplitRequest, args: argparse.Namespace) -> str:
    """One row of the table."""
    workers = args.num_processes
    first, further = (
        _folder(make_dataset(paths, base, variant, split=split, num_processes=workers).folder)
        for variant, split in ((Variant(RHO), request), (_FURTHER, None))
    )
    file = _plan(paths, first, further, workers)
    store = paths.preprocessed / base / "nnsparse" / "images"
    ours = paths.preprocessed / further.name / IDENTIFIER
    stock = paths.preprocessed / further.name / f"{PLANS}_{CONFIGURATION}"
    times = Times()
    for _ in range(args.rounds):
        shutil.rmtree(store, ignore_errors=True)
        times.first.append(_time_ours(first, file, ours.parent.with_name(first.name), workers))
        shutil.rmtree(ours, ignore_errors=True)
        times.further.append(_time_ours(further, file, ours.parent, workers))
        times.stock.append(_time_stock(further, workers))
    seconds = [statistics.median(t) for t in (times.stock, times.first, times.further)]
    sizes = [_size(stock), _size(ours)]
    print(f"{base}: {times}", file=sys.stderr)
    return (
        f"| {base} | {len(list(ours.glob('*.pkl')))} | {seconds[0]:.2f} | {seconds[1]:.2f} "
        f"| {seconds[2]:.2f} | {seconds[0] / seconds[2]:.1f} | {sizes[0] / 1e6:.2f} "
        f"| {sizes[1] / 1e6:.2f} | {sizes[0] / sizes[1]:.1f} |"
    )


_FURTHER = Variant(RHO, selector="random", seed=1)


def _folder(folder: Path | None) -> Path:
    if folder is None:
        raise SparseError("no data set was made")
    return folder


def _plan(paths: NnUNetPaths, first: Path, further: Path, workers: int) -> Path:
    """Let nnU-Net plan the first variant, and move the plans to the further one."""
    folder = paths.preprocessed / first.name
    file = folder / f"{PLANS}.json"
    if not file.exists():
        number = first.name[7:10]
        _call("nnUNetv2_extract_fingerprint", "-d", number, "-np", str(workers))
        _call("nnUNetv2_plan_experiment", "-d", number)
    target = paths.preprocessed / further.name
    target.mkdir(exist_ok=True)
    for copied in (file, folder / "dataset.json"):
        shutil.copyfile(copied, target / copied.name)
    return file


def _time_ours(dataset: Path, plans: Path, folder: Path, workers: int) -> float:
    arguments = (dataset, plans, CONFIGURATION, folder / IDENTIFIER, workers)
    return _call(sys.executable, "-c", OURS, *map(str, arguments))


def _time_stock(dataset: Path, workers: int) -> float:
    number = dataset.name[7:10]
    return _call("nnUNetv2_preprocess", "-d", number, "-c", CONFIGURATION, "-np", str(workers))


def _call(*command: str) -> float:
    """Run a command and return its seconds."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SparseError(f"{command[0]} failed: {done.stderr[-500:]}")
    return time.perf_counter() - start


def _size(folder: Path) -> int:
    """Bytes of the files that have no other name."""
    return sum(
        status.st_size
        for status in (file.stat() for file in folder.iterdir())
        if status.st_nlink == 1
    )


if __name__ == "__main__":
    sys.exit(main())
