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


def label_names(grid: Grid, base: Base) -> list[str]:
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
        If the roles contradict each other.
    """
    try:
        return target_names(_dataset_json(grid, base))
    except SparseError as error:
        raise SparseError(f"{base.name or base.suffix}/dataset.json: {error}") from error


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
        If the task names a label that has not been scored.
    """
    wanted = base.task.labels
    if takes_all(wanted, names):
        return list(names)
    wanted = wanted or targets(grid, base)
    if unknown := [label for label in wanted if label not in names]:
        raise SparseError(
            f"{grid.file}: {base.suffix} has no label {unknown[0]!r}, there are {', '.join(names)}"
        )
    return list(wanted or names)


def takes_all(labels: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a task asks for all labels; one that is called ``all`` is meant itself."""
    return tuple(labels) == (ALL,) and ALL not in names


def _dataset_json(grid: Grid, base: Base) -> Mapping[str, Any]:
    """What matters of it; of a phantom that has not been made, what it will be."""
    if base.name is not None:
        return RawDataset.open(grid.paths.raw / base.name).dataset_json
    assert base.task.phantom is not None
    phantom = PHANTOM_TASKS[base.task.phantom.task]
    return {"labels": phantom.labels, **phantom.roles}
