"""What is looked at before an experiment begins, beside what its file alone tells."""

import difflib
from typing import Any

from nnunet_sparse.env import environment, training_environment
from nnunet_sparse.grid.cells import Base, bases, configurations
from nnunet_sparse.grid.experiment import Configuration, Grid
from nnunet_sparse.phantoms import TASKS
from nnunet_sparse.raw_dataset import RawDataset
from nnunet_sparse.recipes.paper import PAPER

_OWN = "SparseTrainer"


def check_experiment(grid: Grid) -> None:
    """Refuse what would fail or be ignored once the experiment runs.

    Raises
    ------
    SparseError
        With file and line.
    """
    for base in bases(grid):
        _check_labels(grid, base)
        for configuration, _ in configurations(grid, base):
            _check_trainer(grid, configuration)


def _check_labels(grid: Grid, base: Base) -> None:
    names = label_names(grid, base)
    for label in base.task.labels:
        if label not in names:
            grid.fail(
                base.task.line,
                f"{base.suffix} has no label {label!r}, there are {', '.join(names)}",
            )


def label_names(grid: Grid, base: Base) -> list[str]:
    """Labels of a base that can be scored."""
    if base.name is not None:
        labels = list(RawDataset.open(grid.paths.raw / base.name).dataset_json["labels"])
    else:
        labels = list(TASKS[base.task.phantom.task].labels) if base.task.phantom else []
    return [name for name in labels if name not in ("background", "ignore")]


def _check_trainer(grid: Grid, configuration: Configuration) -> None:
    name = configuration.trainer
    if name in PAPER:
        if PAPER[name].configuration[:2] != configuration.configuration[:2]:
            grid.fail(
                configuration.line,
                f"{name} trains {PAPER[name].configuration}, not {configuration.configuration}",
            )
    elif name != _OWN:
        trainer = _find_trainer(grid, configuration)
        # classes of nnU-Net's folders may be loaded twice, so that names tell more than issubclass
        if configuration.settings and _OWN not in {each.__name__ for each in trainer.__mro__}:
            grid.fail(
                configuration.line,
                f"{name} does not read settings: leave them out, or use {_OWN} or a trainer "
                "derived from it (nnU-Net has trainers with a length of their own, as "
                "nnUNetTrainer_5epochs)",
            )


def _find_trainer(grid: Grid, configuration: Configuration) -> Any:
    from nnunet_sparse.doctor.batches import find_trainer

    name = configuration.trainer
    try:
        with environment(training_environment(grid.paths)):
            return find_trainer(name)
    except Exception as error:  # whatever modules of others raise
        close = difflib.get_close_matches(name, [_OWN, *PAPER], n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        grid.fail(configuration.line, f"{error}{hint}")
