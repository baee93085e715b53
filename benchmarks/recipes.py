r"""Do the trainers of the paper learn, beside SparseTrainer's own U-Net?

    python benchmarks/recipes.py -o FOLDER --data phantom:lesion DATA/Dataset004_Hippocampus

All trainings of a data set and dimension see the same slices in batches and patches of the same
size, as often. On a CPU the networks are narrower than published and start from random weights;
``--published`` leaves them as they are. A learning rate in the table is one that differs from the
recipe's. On a GPU, with the paper's sizes, also memory and time of an iteration:

    python benchmarks/recipes.py -o FOLDER --data phantom:lesion --device cuda --published \
        --planner PaperPlannerATLAS --iterations 2000
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_data import BenchData, base_name
from bench_runs import add_run_options, run_and_tabulate, scores_of
from train_and_score import Experiment

from nnunet_sparse.planners.planner_classes import default_plans_name
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner
from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.settings import parse_assignments

BASELINE = "SparseTrainer"
# widths with which a CPU takes about as long as for SmallPlanner's U-Net
NARROW: dict[str, dict[str, Any]] = {
    "SparseTrainerInceptionUNet": {"channels": [8, 16, 32, 64, 128]},
    "SparseTrainerSegFormer": {
        "depths": [2, 2, 2, 2],
        "hidden_sizes": [32, 64, 160, 256],
        "decoder_hidden_size": 256,
    },
    "SparseTrainerCAMWNet": {
        "vgg_channels": [[16, 16], [32, 32], [64, 64, 64], [64, 64, 64], [64, 64, 64]],
        "decoder_channels": [64, 32, 16, 8],
        "channels": [8, 16, 32, 64, 128],
    },
    "SparseTrainerUNet3D": {"base_features": 8},
    "SparseTrainerSegResNet": {"init_filters": 8},
    "SparseTrainerUNETR": {"feature_size": 8, "hidden_size": 96, "mlp_dim": 384, "num_heads": 6},
    "SparseTrainerAttentionUNet3D": {"channels": [8, 16, 32, 64, 128]},
}
# PyTorch's convolutions in bfloat16 on a CPU return huge numbers for its smallest feature maps
FLOAT32 = {"SparseTrainerSegFormer"}


@dataclass(frozen=True)
class Cell:
    """One training of the table.

    Attributes
    ----------
    data
        Name of the base, without its ID.
    learning_rate
        In place of the recipe's; None keeps it.
    experiment
        What is trained.
    changes
        Other changes of the recipe, as they were given.
    """

    data: str
    learning_rate: float | None
    experiment: Experiment
    changes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name of the file of its result."""
        e = self.experiment
        rate = "recipe" if self.learning_rate is None else f"{self.learning_rate:g}"
        return "__".join([e.dataset, e.configuration, e.trainer, rate, *self.changes])


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser("recipes.py", "Learning check of the recipes.", "recipes.py -o FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["phantom:lesion"])
    parser.add_argument("--rho", type=float, default=0.2)
    parser.add_argument("--test", default="40", help="test cases of real data")
    parser.add_argument("--trainers", nargs="+", choices=tuple(PAPER), default=list(PAPER))
    parser.add_argument("--rates", nargs="+", default=["recipe", "1e-3"], help="learning rates")
    parser.add_argument("--iterations", type=positive_int, default=500)
    parser.add_argument("--planner", default="SmallPlanner")
    parser.add_argument("--published", action="store_true", help="networks as wide as published")
    parser.add_argument("--set", nargs="+", default=[], dest="recipe", help="key=value of recipes")
    add_run_options(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    run_and_tabulate(__file__, args, _cells, _table, "recipes.md")


def _cells(args: argparse.Namespace, paths: NnUNetPaths) -> Iterator[Cell]:
    runner = Runner(args.output / "logs", paths, 2)
    source = BenchData(paths, runner, args.test, args.planner, ("2d", "3d_fullres"))
    plans = default_plans_name(args.planner)
    per_epoch = min(50, args.iterations)
    length = {
        "num_iterations_per_epoch": per_epoch,
        "num_val_iterations_per_epoch": 1,
        "num_epochs": args.iterations // per_epoch,
    }
    changes = parse_assignments(f"recipe.{text}" for text in args.recipe).get("recipe", {})
    for data in args.data:
        dataset = source.variant(data, args.rho)
        for configuration in ("2d", "3d_fullres"):
            names = [t for t in args.trainers if PAPER[t].configuration == configuration]
            if not names:
                continue
            experiment = Experiment(dataset, configuration, plans, None, length, 0)
            yield Cell(base_name(data), None, experiment)
            for name in names:
                for rate in args.rates:
                    found = None if rate == "recipe" else float(rate)
                    recipe = {
                        "iterations": args.iterations,
                        "pretrained": False,
                        **({} if args.published else {"network": NARROW[name]}),
                        **({} if found is None else {"initial_lr": found}),
                        **changes,
                    }
                    settings = length | {"recipe": recipe}
                    experiment = Experiment(
                        dataset, configuration, plans, None, settings, 0, name, name in FLOAT32
                    )
                    yield Cell(base_name(data), found, experiment, tuple(args.recipe))


def _table(cells: Sequence[Cell], output: Path) -> str:
    lines = [
        "| data | configuration | trainer | learning rate | Dice | of SparseTrainer's "
        "| s per iteration | GiB |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    baseline: dict[tuple[str, str], float] = {}
    for cell in cells:
        scores = scores_of(output, cell.key, cell.experiment)
        if scores is None:
            continue
        dice = sum(scores["Dice"].values()) / len(scores["Dice"])
        experiment = cell.experiment
        key = (cell.data, experiment.configuration)
        if experiment.trainer == BASELINE:
            baseline[key] = dice
        rate = "" if cell.learning_rate is None else f"{cell.learning_rate:g}"
        share = f"{dice / baseline[key]:.2f}" if baseline.get(key) else ""
        trainer = " ".join([experiment.trainer, *cell.changes])
        lines.append(
            f"| {cell.data} | {experiment.configuration} | {trainer} | {rate} "
            f"| {dice:.3f} | {share} | {scores['training_s'] / _iterations(experiment):.2f} "
            f"| {scores.get('peak_gib', '')} |"
        )
    return "\n".join(lines) + "\n"


def _iterations(experiment: Experiment) -> int:
    """Length of a training."""
    settings = experiment.settings
    return int(settings["num_epochs"] * settings["num_iterations_per_epoch"])


if __name__ == "__main__":
    sys.exit(main())
