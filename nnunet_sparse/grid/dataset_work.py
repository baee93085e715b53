"""The step ``dataset``: make the data set of a variant."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_sparse.data.dataset_name import parse_dataset_name
from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.grid.cells import CellVariant
from nnunet_sparse.grid.jobs import DatasetJob
from nnunet_sparse.grid.step_work import Facts, StepWork, Work, base_name, dataset_name
from nnunet_sparse.grid.train_work import model_folder
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    from nnunet_sparse.prediction.trained_network import TrainedNetwork


class DatasetWork(StepWork[DatasetJob]):
    """Makes the data set of a variant."""

    def asked(self, work: Work, job: DatasetJob) -> Facts:
        """The factors, and the number of folds."""
        cell, repeats = job.subject, work.grid.experiment.repeats
        return {"variant": cell.variant.to_json(), "axis": cell.base.task.axis, "repeats": repeats}

    def is_there(self, work: Work, job: DatasetJob) -> bool:
        """Whether its folder is."""
        return (work.grid.paths.raw / dataset_name(work.grid, job.subject.suffix)).is_dir()

    def do(self, work: Work, job: DatasetJob) -> Facts:
        """Select slices, add some, or interpolate the labels of those that are selected."""
        cell = job.subject
        made = _made_before(work, cell) if job.teachers else None
        if made is None and cell.variant.interpolation is not None:
            made = _interpolated(work, job)
        elif made is None:
            made = _selected(work, job) if cell.source is None else _extended(work, job)
        folder, selection = made
        return {"dataset": folder.name, "num_slices": selection.budget}


_Made = tuple[Path, Selection]


def _selected(work: Work, job: DatasetJob) -> _Made:
    from nnunet_sparse.dataset_tools.make_dataset import make_dataset

    cell = job.subject
    made = make_dataset(
        work.grid.paths,
        base_name(work.grid, cell.base),
        cell.variant,
        axis=cell.base.task.axis,
        # the features have been kept by the job before
        device=work.device if cell.variant.uses_features else None,
        repeats=work.grid.experiment.repeats,
        num_processes=work.num_processes,
    )
    assert made.folder is not None
    return made.folder, made.selection


def _extended(work: Work, job: DatasetJob) -> _Made:
    """The data set of the round before, and more slices."""
    from nnunet_sparse.dataset_tools.extend_dataset import extend_dataset, open_extendable
    from nnunet_sparse.selection.ask_network import AskedNetwork

    cell, paths = job.subject, work.grid.paths
    network = _teacher(work, job)
    on_device = network is not None or cell.variant.uses_features
    made = extend_dataset(
        paths,
        open_extendable(paths, _source_name(work, cell)),
        cell.variant.addition,
        None if network is None else AskedNetwork(network, work.device),
        teacher=cell.teacher,
        device=work.device if on_device else None,
        num_processes=work.num_processes,
    )
    assert made.folder is not None
    return made.folder, made.selection


def _interpolated(work: Work, job: DatasetJob) -> _Made:
    from nnunet_sparse.dataset_tools.interpolate import interpolate_dataset

    cell, interpolation = job.subject, job.subject.variant.interpolation
    assert interpolation is not None
    network = _teacher(work, job)
    if network is not None:
        interpolation = replace(interpolation, model=network.digest)
    made = interpolate_dataset(
        work.grid.paths,
        _source_name(work, cell),
        interpolation,
        model=network,
        device=work.device if job.on_device else None,
        num_processes=work.num_processes,
    )
    return made.folder, made.selection


def _teacher(work: Work, job: DatasetJob) -> "TrainedNetwork | None":
    """All repeats that were trained for it."""
    from nnunet_sparse.prediction.trained_network import TrainedNetwork

    if not job.teachers:
        return None
    folds = [training.repeat for training in job.teachers]
    return TrainedNetwork.open(model_folder(work.grid, job.teachers[0]), folds)


def _source_name(work: Work, cell: CellVariant) -> str:
    source = cell.source
    assert source is not None
    return dataset_name(work.grid, source.suffix)


def _made_before(work: Work, cell: CellVariant) -> _Made | None:
    """What networks of the same name have made, by whatever experiment; None if nothing.

    Networks that were deleted and trained again are others, though they are asked for in the same
    way; what was chosen by the first ones stays, and later rounds with it.

    Raises
    ------
    SparseError
        If it lacks slices of the data set that it was made from, which is another one now.
    """
    from nnunet_sparse.dataset_tools.publish import find_existing

    paths, base = work.grid.paths, base_name(work.grid, cell.base)
    source = Selection.read(paths.raw / _source_name(work, cell) / SELECTION_FILE)
    suffix = _suffix(source, cell, parse_dataset_name(base)[1])
    found = find_existing(paths, suffix, base, overwrite=False)
    if found is None:
        return None
    selection = Selection.read(found / SELECTION_FILE)
    for case_id, case in source.cases.items():
        there = selection.cases.get(case_id)
        if there is None or not set(case.slices) <= set(there.slices):
            raise SparseError(
                f"{found.name} was made from other slices than those of "
                f"{_source_name(work, cell)}: remove it, its plans and its networks"
            )
    return found, selection


def _suffix(source: Selection, cell: CellVariant, base: str) -> str:
    """Name of a data set that is made from another one, whose slice axis it has."""
    of_source = source.variant
    if (interpolation := cell.variant.interpolation) is not None:
        return replace(of_source, interpolation=interpolation).dataset_suffix(base)
    path = cell.variant.rounds
    assert path is not None
    return replace(cell.variant, rounds=replace(path, first=of_source)).dataset_suffix(base)
