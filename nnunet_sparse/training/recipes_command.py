"""The recipes as a table, for the command line and the documentation."""

import argparse
import json
from collections.abc import Sequence

from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.training.paper_recipes import PAPER, PaperTrainer
from nnunet_sparse.training.pretrained import PRETRAINED
from nnunet_sparse.training.recipe import LOSSES, OPTIMIZERS, Recipe
from nnunet_sparse.training.schedules import SCHEDULES


def recipe_table() -> str:
    """All recipes of the paper in Markdown; it ends with a line break."""
    from nnunet_sparse.training.paper_tasks import TASKS

    lines = [
        "| trainer | network | planner, configuration | batch, patch (z, y, x), spacing in mm |",
        "|---|---|---|---|",
    ]
    for name, trainer in PAPER.items():
        size = TASKS[trainer.task].sizes[trainer.dimensions]
        spacing = TASKS[trainer.task].spacing[3 - trainer.dimensions :]
        lines.append(
            f"| `{name}` | {trainer.network} "
            f"| `PaperPlanner{trainer.task}`, {trainer.configuration} "
            f"| {size.batch_size}, {_sides(size.patch_size)}, {_sides(spacing)} |"
        )
    lines += [
        "",
        "| trainer | iterations | loss (class weights) | optimiser | learning rate "
        "| augmentation | patch centres | encoder |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| `{name}` | {_recipe(trainer)} |" for name, trainer in PAPER.items()]
    return "\n".join(lines) + "\n"


def option_table() -> str:
    """Options of the networks with their defaults in Markdown; it ends with a line break."""
    from nnunet_sparse.architectures.architecture import architecture_options

    lines = ["| trainer | `recipe.network`, with its defaults |", "|---|---|"]
    for name, trainer in PAPER.items():
        options = json.dumps(architecture_options(trainer.architecture))
        lines.append(f"| `{name}` | `{options}` |")
    return "\n".join(lines) + "\n"


def _recipe(trainer: PaperTrainer) -> str:
    recipe = trainer.recipe
    loss = LOSSES[recipe.loss]
    if recipe.class_weights:
        loss += f" ({_pairs(recipe.class_weights)})"
    optimizer = f"{OPTIMIZERS[recipe.optimizer]}, weight decay {recipe.weight_decay:g}"
    if recipe.optimizer == "sgd":
        optimizer += f", momentum {recipe.momentum:g}"
    centres = _pairs(recipe.patch_centres) or "uniform"
    if trainer.dimensions == 2:
        centres = "annotated slices, uniform"
    weights = PRETRAINED[trainer.architecture].name if recipe.pretrained else "from scratch"
    augmentation = ", ".join(name.replace("_", " ") for name in recipe.augmentation)
    return " | ".join(
        (str(recipe.iterations), loss, optimizer, _rate(recipe), augmentation, centres, weights)
    )


def _rate(recipe: Recipe) -> str:
    schedule = SCHEDULES[recipe.schedule].format_map(recipe.to_dict())
    return f"{recipe.initial_lr:g}, {schedule}"


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('+', ' + ')} {value:g}" for name, value in values.items())


def _sides(sides: Sequence[float]) -> str:
    return "x".join(f"{side:g}" for side in sides)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_recipes",
        "Show the networks and training recipes of the paper, and the options of the networks, as "
        "Markdown tables.",
        "nnsparse_recipes",
    )
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:  # noqa: ARG001
    print(recipe_table())
    print(option_table(), end="")
