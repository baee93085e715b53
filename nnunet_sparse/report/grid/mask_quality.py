"""How well the interpolated training masks of an experiment agree with the dense ones."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, Case, RawDataset
from nnunet_sparse.grid.cells import INTERPOLATED, CellVariant
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import DatasetJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases

Counts = dict[str, list[int]]


@dataclass(frozen=True)
class MaskQuality:
    """Quality of the masks of one interpolated data set.

    Attributes
    ----------
    task
        Name of the base without ``DatasetXXX_``.
    variant
        Its factors.
    done
        Whether the data set is there.
    iou
        Batched IoU against the dense masks, the mean over the labels of the task; None where it is
        undefined or the data set is not there.
    """

    task: str
    variant: Variant
    done: bool
    iou: float | None


def mask_qualities(grid: Grid, num_processes: int) -> list[MaskQuality]:
    """Quality of each interpolated data set: annotated and filled slices together.

    Measured once for each data set and kept in the folder ``quality`` of the experiment. Voxels
    that interpolation left to the ignore label count as background.

    Returns
    -------
    list of MaskQuality
        Of all interpolated data sets that the experiment asks for.
    """
    return [
        _quality(job.subject, _counts(grid, job, num_processes))
        for job in jobs_of(job_graph(grid), DatasetJob)
        if job.subject.kind == INTERPOLATED
    ]


def _quality(cell: CellVariant, counts: Counts | None) -> MaskQuality:
    return MaskQuality(
        task=cell.base.suffix,
        variant=cell.variant,
        done=counts is not None,
        iou=None if counts is None else _mean_iou(counts, cell.base.task.labels),
    )


def _counts(grid: Grid, job: DatasetJob, num_processes: int) -> Counts | None:
    """Voxels of each label; None if the data set has not been made, or deleted unmeasured."""
    folder = GridFolder(grid.folder)
    record = folder.read(job.name)
    if record is None:
        return None
    measure = partial(_measure, grid, str(record.facts["dataset"]), num_processes)
    try:
        return folder.measured("quality", job.key, record.run, measure, dict)
    except FileNotFoundError:
        return None


def _mean_iou(counts: Counts, labels: tuple[str, ...]) -> float | None:
    """Mean over the labels that count; None if one of them is undefined."""
    ious = [_iou(counts[label]) for label in labels or counts if label in counts]
    defined = [iou for iou in ious if iou is not None]
    return sum(defined) / len(defined) if defined and len(defined) == len(ious) else None


def _measure(grid: Grid, name: str, num_processes: int) -> Counts:
    folder = grid.paths.raw / name
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    filled = RawDataset.open(folder)
    selection = Selection.read(filled.folder / SELECTION_FILE)
    base = RawDataset.open(grid.paths.raw / selection.base)
    labels = {
        label: values if isinstance(values, list) else [values]
        for label, values in base.dataset_json["labels"].items()
        if label not in ("background", "ignore")
    }
    work = partial(_count, reader=base.reader(), labels=labels)
    pairs = dict(_masks(base, filled, list(selection.cases)))
    total: dict[str, Counter[int]] = {label: Counter() for label in labels}
    for counts in map_cases(work, pairs, num_processes, "Comparing masks").values():
        for label, numbers in counts.items():
            total[label].update(dict(enumerate(numbers)))
    return {label: [numbers[k] for k in range(3)] for label, numbers in total.items()}


def _masks(
    base: RawDataset, filled: RawDataset, cases: list[str]
) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """Files of the dense and of the interpolated mask of each case."""
    for case_id in cases:
        yield case_id, (_mask(base, case_id), _mask(filled, case_id))


def _mask(dataset: RawDataset, case_id: str) -> Path:
    case: Case | None = dataset.training.get(case_id)
    if case is None or case.label is None:
        raise SparseError(f"{dataset.folder} has no label of {case_id}, which is annotated")
    return case.label


def _count(pair: tuple[Path, Path], reader: str, labels: dict[str, list[int]]) -> Counts:
    """True positive, false positive and false negative voxels of each label."""
    truth, found = (read_label(file, reader) for file in pair)
    counts = {}
    for label, values in labels.items():
        is_true, is_found = np.isin(truth, values), np.isin(found, values)
        both = int((is_true & is_found).sum())
        counts[label] = [both, int(is_found.sum()) - both, int(is_true.sum()) - both]
    return counts


def _iou(counts: list[int]) -> float | None:
    return counts[0] / sum(counts) if sum(counts) else None
