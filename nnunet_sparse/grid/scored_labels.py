"""Which labels of a task there are, and on which of them its networks are compared.

Those count that the task names in the experiment file; where it names none, the targets, if
``dataset.json`` declares roles (:mod:`nnunet_sparse.training.roles`); else all. The score of a
training is the mean over the labels that count.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_sparse.data.declared_labels import BACKGROUND, IGNORE
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.grid.cells import Base
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.phantoms import PHANTOM_TASKS
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.roles import target_names

ALL = "all"
"""In place of names of labels: all count, whatever their roles."""


def labels_of(grid: Grid, base: Base) -> list[str]:
    """Labels of a base that can be scored."""
    return list(scorable_labels(_dataset_json(grid, base)))


def scorable_labels(dataset_json: Mapping[str, Any]) -> tuple[str, ...]:
    """Labels of a data set that can be scored."""
    return tuple(name for name in dataset_json["labels"] if name not in (BACKGROUND, IGNORE))


def targets(grid: Grid, base: Base) -> tuple[str, ...]:
    """Labels that ``dataset.json`` declares to be the target; none where it declares no roles.

    Raises
    ------
    SparseError
        With file and line, if the roles contradict each other.
    """
    try:
        return target_names(_dataset_json(grid, base))
    except SparseError as error:
        grid.fail_at(base.task, "base", f"{base.name or base.suffix}/dataset.json: {error}")


def counted_labels(grid: Grid, base: Base, names: Sequence[str]) -> list[str]:
    """Labels over which the score of a training is the mean.

    Parameters
    ----------
    grid, base
        The experiment, and the base of the task.
    names
        Labels that have been scored.

    Raises
    ------
    SparseError
        With file and line, if the task names a label that has not been scored, or the roles
        contradict each other.
    """
    wanted = base.task.labels
    # a label that is called so is meant itself
    if tuple(wanted) == (ALL,) and ALL not in names:
        return list(names)
    wanted = wanted or targets(grid, base)
    if unknown := [label for label in wanted if label not in names]:
        grid.fail_at(
            base.task,
            "labels",
            f"{base.suffix} has no label {unknown[0]!r}, there are {', '.join(names)}",
        )
    return list(wanted or names)


def mean_in_words(labels: Sequence[str]) -> str:
    """Over which labels a score is the mean."""
    return ("the mean of " if len(labels) > 1 else "") + ", ".join(labels)


def _dataset_json(grid: Grid, base: Base) -> Mapping[str, Any]:
    """What matters of it; of a phantom that has not been made, what it will be."""
    if base.name is not None:
        return RawDataset.open(grid.paths.raw / base.name).dataset_json
    assert base.task.phantom is not None
    phantom = PHANTOM_TASKS[base.task.phantom.task]
    return {"labels": phantom.labels, **phantom.roles}
