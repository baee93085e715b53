"""What is looked at before an experiment begins, beside what its file alone tells."""

import difflib
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.data.dataset_name import dataset_names, parse_dataset_name
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import find_split
from nnunet_sparse.grid.cells import (
    Base,
    bases,
    configurations,
    is_excluding,
    trained_variants,
    variants,
    ways_of,
)
from nnunet_sparse.grid.configuration import Configuration
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.overview import base_facts, budget
from nnunet_sparse.grid.scored_labels import counted_labels, labels_of
from nnunet_sparse.system.devices import usable_gpus
from nnunet_sparse.system.env import environment, training_environment
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.nnunet_model import nnunet_model_name
from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.settings import BLOCK, TrainingSettings

logger = logging.getLogger(__name__)

_OWN = "SparseTrainer"
_SPLIT_KEYS = ("split_file", "test", "val", "split_seed")


def check_experiment(grid: Grid) -> None:
    """Refuse what would fail or be ignored once the experiment runs.

    Raises
    ------
    SparseError
        With file and line.
    """
    every: list[Configuration] = []
    for base in bases(grid):
        counted_labels(grid, base, labels_of(grid, base))
        _check_split(grid, base)
        ways = configurations(grid, base)
        _check_amounts(grid, base)
        every += [way for way, _ in ways]
        for configuration, _ in ways:
            _check_trainer(grid, configuration)
            if not trained_variants(grid.experiment, base, configuration):
                grid.fail(configuration.line, f"nothing of {base.suffix} is left to be trained so")
        _check_plans(grid, base, [way for way, _ in ways if way.plans])
    if all(way.extra for way in every):
        grid.fail_at(every[0], "extra", "every way of training is extra: nothing is compared")
    _check_exclusions(grid)
    experiment = grid.experiment
    if experiment.device == "cuda" and not usable_gpus():
        # the nodes of a cluster may have some
        logger.warning(
            "%s, line %d: device is cuda, and this machine has no GPU: trainings will fail here",
            grid.file,
            experiment.lines.get("device", 1),
        )


def _check_exclusions(grid: Grid) -> None:
    """Refuse exclusions of which a value, or all together, exclude nothing."""
    experiment, every = grid.experiment, bases(grid)
    of_tasks = [(exclusion, [base]) for base in every for exclusion in base.task.exclude]
    for whole, chosen in [*((each, every) for each in experiment.exclude), *of_tasks]:
        ways = [(base, way) for base in chosen for way in ways_of(experiment, base)]
        for exclusion in whole.of_each_value():
            if not any(is_excluding(experiment, base, way, exclusion) for base, way in ways):
                grid.fail(exclusion.line, f"exclude: no cell has {exclusion.text}")


def _check_split(grid: Grid, base: Base) -> None:
    """Refuse a split that cannot be made, or another one than there is."""
    if base.name is None:
        return
    task = base.task
    try:
        raw = RawDataset.open(grid.paths.raw / base.name)
        find_split(raw, grid.paths, task.split_request(grid.file.parent))
    except SparseError as error:
        message = str(error).replace("leave out --test", "leave out test")
        given = [key for key in _SPLIT_KEYS if key in task.lines]
        named = [key for key in given if re.search(rf"\b{key}\b".replace("_", "."), message)]
        grid.fail_at(task, [*named, *given, "base"][0], message)


def _check_amounts(grid: Grid, base: Base) -> None:
    """Refuse more slices or rounds than there are, and least numbers that exceed the budget."""
    cells = variants(grid.experiment, base)
    counted = ("budget", "min_per_volume", "rounds")
    numbers = [c for c in cells if any(getattr(c.variant, name) for name in counted)]
    facts = base_facts(grid, base) if numbers else None
    for cell in numbers:
        assert facts is not None
        try:
            budget(cell, facts)
        except SparseError as error:
            key = "budget" if cell.variant.rounds is None else "rounds"
            key = "min_per_volume" if str(error).startswith("min_per_volume") else key
            grid.fail_at(grid.experiment, key, f"{cell.suffix}: {error}")


def _check_plans(grid: Grid, base: Base, ways: Sequence[Configuration]) -> None:
    """Refuse names of plans that plans or networks of other settings have."""
    suffixes = {cell.suffix for cell in variants(grid.experiment, base)}
    for way in ways:
        model = nnunet_model_name(way.trainer, way.plans, way.configuration)
        files = [
            folder / name / file
            for folder, file in (
                (grid.paths.preprocessed, f"{way.plans}.json"),
                (grid.paths.results, f"{model}/plans.json"),
            )
            for name in dataset_names(folder)
            if parse_dataset_name(name)[1] in suffixes
        ]
        for file in files:
            if other := _difference(file, way):
                grid.fail_at(
                    way, "plans", f"{file} has another {other}: choose another name of the plans"
                )


def _difference(file: Path, way: Configuration) -> str:
    """Name of a setting that plans have in another way than is wanted, or nothing."""
    from nnunet_sparse.data.plans_configuration import configuration_of
    from nnunet_sparse.planners.plans import read_plans

    plans = read_plans(file)
    if plans is None or way.configuration not in plans["configurations"]:
        return ""
    if plans.get("experiment_planner_used", way.planner) != way.planner:
        return f"planner ({plans['experiment_planner_used']})"
    block = configuration_of(plans, way.configuration).get(BLOCK, {})
    there = TrainingSettings.from_block(block).to_block()
    wanted = _defaults(way.planner).replaced(way.settings).to_block()
    for key in sorted(there.keys() | wanted.keys()):
        if there.get(key) != wanted.get(key):
            return f"{key} ({there.get(key)}, not {wanted.get(key)})"
    return ""


def _defaults(planner: str) -> TrainingSettings:
    """Settings that a planner writes; nnU-Net's write none."""
    from nnunet_sparse.planners.planner_classes import find_planner

    found = getattr(find_planner(planner), "settings", None)
    return found if isinstance(found, TrainingSettings) else TrainingSettings()


def _check_trainer(grid: Grid, configuration: Configuration) -> None:
    name = configuration.trainer
    if name in PAPER:
        if PAPER[name].configuration[:2] != configuration.configuration[:2]:
            grid.fail_at(
                configuration,
                "trainer",
                f"{name} trains {PAPER[name].configuration}, not {configuration.configuration}",
            )
    elif name != _OWN:
        trainer = _find_trainer(grid, configuration)
        # classes of nnU-Net's folders may be loaded twice, so that names tell more than issubclass
        if configuration.settings and _OWN not in {each.__name__ for each in trainer.__mro__}:
            grid.fail_at(
                configuration,
                "settings",
                f"{name} does not read settings: leave them out, or use {_OWN} or a trainer "
                "derived from it (nnU-Net has trainers with a length of their own, as "
                "nnUNetTrainer_5epochs)",
            )


def _find_trainer(grid: Grid, configuration: Configuration) -> type:
    from nnunet_sparse.trainers.trainer_classes import find_trainer

    name = configuration.trainer
    try:
        with environment(training_environment(grid.paths)):
            found: type = find_trainer(name)
            return found
    except Exception as error:  # modules of others are imported, and raise what they like
        close = difflib.get_close_matches(name, [_OWN, *PAPER], n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        grid.fail_at(configuration, "trainer", f"{error}{hint}")
