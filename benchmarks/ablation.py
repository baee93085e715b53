r"""Which of SparseTrainer's settings help, by how much, against nnU-Net and dense training?

    python benchmarks/ablation.py -o FOLDER --data DATA/Dataset004_Hippocampus phantom:organ \
        --rho 0.05 0.1 --repeats 3 --jobs 2

Every row of the table is trained at every density, configuration and patch size, each repeat with
its own initial weights and batches, and scored on the dense labels of the test cases. A run that
was stopped goes on where it was; ``--table`` only shows what there is. On a GPU:

    python benchmarks/ablation.py -o FOLDER --data DATA/Dataset004_Hippocampus --rho 0.05 0.1 \
        --planner SparsePlanner --device cuda --jobs 3 --set num_epochs=100
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from bench_data import BenchData, base_name
from bench_runs import add_run_options, run_and_tabulate, scores_of
from train_and_score import Experiment

from nnunet_sparse.planners.planner_classes import default_plans_name
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner
from nnunet_sparse.training.settings import STOCK, parse_assignments

# rows of the table: what differs from nnU-Net; {} is SparseTrainer as it is
SINGLE: dict[str, dict[str, Any]] = {
    "nnU-Net": {},
    "placement=inside": {"placement": "inside"},
    "placement=anywhere": {"placement": "anywhere"},
    "targets=annotated": {"targets": "annotated"},
    "label_interpolation=annotated_first": {"label_interpolation": "annotated_first"},
    "padding=ignore": {"padding": "ignore"},
    "dice_smooth=1": {"dice_smooth": 1.0},
    "slice_sampling=uniform": {"slice_sampling": "uniform"},
}
# ... and what differs from SparseTrainer's defaults
LEFT_OUT: dict[str, dict[str, Any]] = {
    f"SparseTrainer, {key}={STOCK[key]}": {key: STOCK[key]}
    for key in ("placement", "targets", "label_interpolation", "slice_sampling")
}
DENSE, DENSE_OURS, OURS = "nnU-Net, dense", "SparseTrainer, dense", "SparseTrainer"
ONLY_2D = ("slice_sampling=uniform", "SparseTrainer, slice_sampling=case")


@dataclass(frozen=True)
class Cell:
    """One training of the table.

    Attributes
    ----------
    data
        Name of the base, without its ID.
    rho
        Density.
    row
        Name of the row.
    patch
        ``plan`` (not larger than a typical image) or ``nnunet`` (rounded up, as nnU-Net does).
    experiment
        What is trained.
    """

    data: str
    rho: float
    row: str
    patch: str
    experiment: Experiment

    @property
    def key(self) -> str:
        """Name of the file of its result."""
        e = self.experiment
        row = self.row.replace(" ", "").replace("=", "-")
        return f"{e.dataset}__{e.configuration}__{self.patch}__{row}__{e.repeat}"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser("ablation.py", "Ablate SparseTrainer.", "ablation.py -o FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--data", nargs="+", default=["phantom:organ"], help="raw data sets, or phantom:TASK"
    )
    parser.add_argument("--rho", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--test", default="40", help="test cases (default: %(default)s)")
    parser.add_argument("-c", "--configurations", nargs="+", default=["2d", "3d_fullres"])
    parser.add_argument("--rows", nargs="+", help="only these rows (default: all)")
    parser.add_argument("--patches", nargs="+", default=["plan"], choices=["plan", "nnunet"])
    parser.add_argument("--repeats", type=positive_int, default=3)
    parser.add_argument("--planner", default="SmallPlanner")
    parser.add_argument("--set", nargs="+", default=["num_epochs=20"], dest="settings")
    add_run_options(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    run_and_tabulate(__file__, args, _cells, _table, "ablation.md")


def _cells(args: argparse.Namespace, paths: NnUNetPaths) -> Iterator[Cell]:
    """Make the data sets and list the trainings, repeat by repeat."""
    runner = Runner(args.output / "logs", paths, 2)
    configurations = tuple(args.configurations)
    source = BenchData(paths, runner, args.test, args.planner, configurations)
    plans = default_plans_name(args.planner)
    length = parse_assignments(args.settings)
    datasets = {
        (data, rho): source.variant(data, rho) for data, rho in product(args.data, [*args.rho, 1.0])
    }
    nnunets = {row: {**STOCK, **changes} for row, changes in {**SINGLE, DENSE: {}}.items()}
    rows = {**nnunets, OURS: {}, **LEFT_OUT, DENSE_OURS: {}}
    if unknown := set(args.rows or ()) - rows.keys():
        raise SparseError(f"unknown row {min(unknown)!r}, choose from {', '.join(rows)}")
    for repeat, data, configuration, patch, rho, (row, changes) in product(
        range(args.repeats), args.data, args.configurations, args.patches, args.rho, rows.items()
    ):
        if args.rows and row not in args.rows:
            continue
        if row in ONLY_2D and configuration != "2d":
            continue
        dense = row in (DENSE, DENSE_OURS)
        dataset = datasets[data, 1.0 if dense else rho]
        settings = {**changes, **length}
        file = paths.preprocessed / dataset / f"{plans}.json"
        size = None if patch == "plan" else _rounded_up(file, configuration)
        experiment = Experiment(dataset, configuration, plans, size, settings, repeat)
        yield Cell(base_name(data), rho, row, patch, experiment)


def _rounded_up(plans_file: Path, configuration: str) -> tuple[int, ...]:
    """Patch size that nnU-Net would choose for these strides: the image's, rounded up."""
    plan = json.loads(plans_file.read_text(encoding="utf-8"))["configurations"][configuration]
    strides = plan["architecture"]["arch_kwargs"]["strides"]
    size = []
    for axis, median in enumerate(plan["median_image_size_in_voxels"][-len(strides[0]) :]):
        factor = 1
        for stride in strides:
            factor *= stride[axis]
        size.append(max(plan["patch_size"][axis], -(-int(median) // factor) * factor))
    return tuple(size)


def _table(cells: Sequence[Cell], output: Path) -> str:
    """Mean and spread of the Dice over repeats, and how much of the gap to dense is closed."""
    groups: dict[tuple[str, str, str, float], dict[str, list[float]]] = {}
    for cell in cells:
        scores = scores_of(output, cell.key, cell.experiment)
        if scores is not None:
            dice = statistics.mean(scores["Dice"].values())
            key = (cell.data, cell.experiment.configuration, cell.patch, cell.rho)
            groups.setdefault(key, {}).setdefault(cell.row, []).append(dice)
    lines = ["| data | configuration | patch | rho | row | Dice | spread | gap closed | n |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for (data, configuration, patch, rho), rows in groups.items():
        for row, values in rows.items():
            spread = f"{statistics.stdev(values):.3f}" if len(values) > 1 else ""
            lines.append(
                f"| {data} | {configuration} | {patch} | {rho:g} | {row} "
                f"| {statistics.mean(values):.3f} | {spread} | {_closed(row, rows)} "
                f"| {len(values)} |"
            )
    return "\n".join(lines) + "\n"


def _closed(row: str, rows: Mapping[str, Sequence[float]]) -> str:
    if row in ("nnU-Net", DENSE, DENSE_OURS) or not {"nnU-Net", DENSE} <= rows.keys():
        return ""
    stock, dense, ours = (statistics.mean(rows[name]) for name in ("nnU-Net", DENSE, row))
    return f"{(ours - stock) / (dense - stock):.0%}" if dense > stock else ""


if __name__ == "__main__":
    sys.exit(main())
