"""How well the interpolated training masks of an experiment agree with the dense ones."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from nnunet_sparse.grid.cells import INTERPOLATED, CellVariant
from nnunet_sparse.grid.experiment import Grid
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.grid.records import GridFolder
from nnunet_sparse.grid.results import interpolation_name
from nnunet_sparse.label_io import read_label
from nnunet_sparse.parallel import map_cases
from nnunet_sparse.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.selection import Selection

Counts = dict[str, list[int]]


def mask_qualities(
    grid: Grid, num_processes: int
) -> dict[tuple[str, str, float, float, str], float | None]:
    """Batched IoU of each interpolated data set: annotated and filled slices together.

    Measured once for each data set and kept in the folder ``quality`` of the experiment. Voxels
    that interpolation left to the ignore label count as background.

    Returns
    -------
    dict
        By task, interpolation, rho, s and selector; the mean over the labels of the task, None
        where it is undefined.
    """
    folder = GridFolder(grid.folder)
    found = {}
    for job in job_graph(grid).values():
        if job.step != "dataset" or job.subject.kind != INTERPOLATED:
            continue
        record = folder.read(job.name)
        if record is None:
            continue
        cell: CellVariant = job.subject
        measure = partial(_measure, grid, str(record.facts["dataset"]), num_processes)
        counts: Counts = folder.measured("quality", job.key, record.run, measure, dict)
        variant = cell.variant
        name = interpolation_name(variant.interpolation)
        labels = cell.base.task.labels or tuple(counts)
        ious = [_iou(counts[label]) for label in labels if label in counts]
        defined = [iou for iou in ious if iou is not None]
        mean = sum(defined) / len(defined) if defined and len(defined) == len(ious) else None
        assert variant.rho is not None
        found[cell.base.suffix, name, variant.rho, variant.s, variant.selector] = mean
    return found


def _measure(grid: Grid, name: str, num_processes: int) -> Counts:
    filled = RawDataset.open(grid.paths.raw / name)
    selection = Selection.read(filled.folder / SELECTION_FILE)
    base = RawDataset.open(grid.paths.raw / selection.base)
    labels = {
        label: values if isinstance(values, list) else [values]
        for label, values in base.dataset_json["labels"].items()
        if label not in ("background", "ignore")
    }
    work = partial(_count, reader=base.reader(), labels=labels)
    pairs = {}
    for case_id in selection.cases:
        truth, mask = base.training[case_id].label, filled.training[case_id].label
        assert truth is not None
        assert mask is not None
        pairs[case_id] = (truth, mask)
    total: dict[str, Counter[int]] = {label: Counter() for label in labels}
    for counts in map_cases(work, pairs, num_processes, "Comparing masks").values():
        for label, numbers in counts.items():
            total[label].update(dict(enumerate(numbers)))
    return {label: [numbers[k] for k in range(3)] for label, numbers in total.items()}


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
