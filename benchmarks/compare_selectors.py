r"""Which selector's slices train the best network? Trained and scored on dense test labels.

    python benchmarks/compare_selectors.py -o FOLDER --data DATA/Dataset004_Hippocampus \
        --rho 0.05 0.1 --seeds 3 --jobs 2

Seed k is the seed of the selector and of the training (repeat k), the same for all selectors, so
that differences to ``random`` are paired: their mean and, in brackets, their standard deviation
over the seeds. A run that was stopped goes on where it was.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from bench_data import BenchData, base_name
from bench_runs import add_run_options, result_file, run_and_tabulate
from train_and_score import Experiment

from nnunet_sparse.planners.planner_classes import default_plans_name
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import first_selector_names, selector_class
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner
from nnunet_sparse.training.settings import parse_assignments

REFERENCE = "random"


@dataclass(frozen=True)
class Cell:
    """One training: a variant, its configuration, and what is trained."""

    data: str
    rho: float
    scope: str
    selector: str
    seed: int
    experiment: Experiment

    @property
    def key(self) -> str:
        """Name of the file of its result."""
        return f"{self.experiment.dataset}__{self.experiment.configuration}__{self.seed}"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "compare_selectors.py", "Compare selectors.", "compare_selectors.py -o FOLDER"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", default="phantom:organ", help="raw data set, or phantom:TASK")
    parser.add_argument("--rho", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--scopes", nargs="+", default=["volume", "dataset"])
    parser.add_argument("--selectors", nargs="+", default=first_selector_names())
    parser.add_argument("--seeds", type=positive_int, default=3)
    parser.add_argument("-c", "--configurations", nargs="+", default=["2d", "3d_fullres"])
    parser.add_argument("--test", default="40", help="test cases (default: %(default)s)")
    parser.add_argument("--planner", default="SmallPlanner")
    parser.add_argument("--set", nargs="+", default=["num_epochs=10"], dest="settings")
    add_run_options(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    run_and_tabulate(__file__, args, _cells, _table, "selectors.md")


def _cells(args: argparse.Namespace, paths: NnUNetPaths) -> list[Cell]:
    """Make the data sets and list the trainings, seed by seed."""
    runner = Runner(args.output / "logs", paths, 2)
    configurations = tuple(args.configurations)
    source = BenchData(paths, runner, args.test, args.planner, configurations)
    plans, settings = default_plans_name(args.planner), parse_assignments(args.settings)
    name = base_name(args.data)
    cells = []
    choices = product(range(args.seeds), args.rho, args.scopes, args.selectors)
    for seed, rho, scope, selector in choices:
        if scope not in selector_class(selector).scopes:
            continue
        variant = Variant(rho, 1.0, selector, seed=seed, scope=scope)
        dataset = source.of_variant(args.data, variant)
        for configuration in configurations:
            experiment = Experiment(dataset, configuration, plans, None, settings, seed)
            cells.append(Cell(name, rho, scope, selector, seed, experiment))
    return cells


def _table(cells: Sequence[Cell], output: Path) -> str:
    """Mean Dice over seeds, and the paired difference to random."""
    groups: dict[tuple[Any, ...], dict[str, dict[int, float]]] = {}
    for cell in cells:
        file = result_file(output, cell.key)
        if file.is_file():
            scores = json.loads(file.read_text(encoding="utf-8"))["scores"]["Dice"]
            key = (cell.data, cell.experiment.configuration, cell.rho, cell.scope)
            of_selector = groups.setdefault(key, {}).setdefault(cell.selector, {})
            of_selector[cell.seed] = statistics.mean(scores.values())
    lines = ["| data | configuration | rho | scope | selector | Dice | against random | n |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for (data, configuration, rho, scope), rows in groups.items():
        reference = rows.get(REFERENCE, {})
        for selector, values in rows.items():
            paired = [values[seed] - reference[seed] for seed in values if seed in reference]
            difference = ""
            if paired and selector != REFERENCE:
                spread = f" ({statistics.stdev(paired):.3f})" if len(paired) > 1 else ""
                difference = f"{statistics.mean(paired):+.3f}{spread}"
            lines.append(
                f"| {data} | {configuration} | {rho:g} | {scope} | {selector} "
                f"| {statistics.mean(values.values()):.3f} | {difference} | {len(values)} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
