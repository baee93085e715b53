"""How well the interpolated training masks of an experiment agree with the dense ones."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from nnunet_sparse.data.declared_labels import BACKGROUND, IGNORE, values_of
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, Case, RawDataset
from nnunet_sparse.evaluation.metrics import Counts, count_labels, pool
from nnunet_sparse.grid.cell_kinds import INTERPOLATED
from nnunet_sparse.grid.cells import CellVariant, bases, left_out_variants, variants, ways_of
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import DatasetJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.scored_labels import counted_labels
from nnunet_sparse.selection.budget import AMOUNT
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selection.variant import FACTORS, Variant
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases

_HOW_CHOSEN = tuple(name for name in FACTORS if name not in (*AMOUNT, "s", "interpolation"))
_Counts = Mapping[str, Counts]


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
        Batched IoU against the dense masks, the mean over the labels that count; None where it is
        undefined or the data set is not there.
    is_left_out
        Whether the experiment excludes it from every way of training, so that it is not made.
    pooled
        Whether the voxels of several data sets are counted together, which differ in how slices
        were chosen; the variant is that of the first.
    """

    task: str
    variant: Variant
    done: bool
    iou: float | None
    is_left_out: bool = False
    pooled: bool = False


def mask_qualities(grid: Grid, num_processes: int) -> list[MaskQuality]:
    """Quality of each interpolated data set: annotated and filled slices together.

    Measured once for each data set and kept in the folder ``quality`` of the experiment. Voxels
    that interpolation left to the ignore label count as background.

    Returns
    -------
    list of MaskQuality
        Of all interpolated data sets that the experiment asks for, then of those that it excludes.
        Where several differ only in how slices were chosen (by selector, scope, weight, seed and so
        on), their voxels pooled follow; of excluded ones where all of them are.
    """
    asked, left_out = _asked_for(grid, num_processes), _left_out(grid)
    there = {_group(quality) for quality in asked}
    groups: dict[tuple[object, ...], list[MaskQuality]] = {}
    for quality in left_out:
        groups.setdefault(_group(quality), []).append(quality)
    together = [
        replace(group[0], pooled=True)
        for key, group in groups.items()
        if len(group) > 1 and key not in there
    ]
    return [*asked, *left_out, *together]


def _group(quality: MaskQuality) -> tuple[object, ...]:
    """What masks have in common whose voxels are pooled."""
    return quality.task, *quality.variant.same_but(*_HOW_CHOSEN)


def _asked_for(grid: Grid, num_processes: int) -> list[MaskQuality]:
    found: list[MaskQuality] = []
    groups: dict[tuple[object, ...], list[tuple[CellVariant, _Counts | None]]] = {}
    for job in jobs_of(job_graph(grid), DatasetJob):
        if job.subject.kind == INTERPOLATED:
            cell, counts = job.subject, _counts(grid, job, num_processes)
            found.append(_quality(grid, cell, counts))
            groups.setdefault(_group(found[-1]), []).append((cell, counts))
    for group in groups.values():
        if len(group) > 1:
            every = [counts for _, counts in group if counts is not None]
            whole = _pooled(every) if len(every) == len(group) else None
            found.append(_quality(grid, group[0][0], whole, pooled=True))
    return found


def _pooled(every: Sequence[_Counts]) -> _Counts:
    return {label: pool(counts[label] for counts in every) for label in every[0]}


def _left_out(grid: Grid) -> list[MaskQuality]:
    found: dict[str, MaskQuality] = {}
    for base in bases(grid):
        made = {cell.suffix for cell in variants(grid.experiment, base)}
        for way in ways_of(grid.experiment, base):
            for cell in left_out_variants(grid.experiment, base, way):
                if cell.kind == INTERPOLATED and cell.suffix not in made:
                    found[cell.suffix] = MaskQuality(
                        base.suffix, cell.variant, False, None, is_left_out=True
                    )
    return list(found.values())


def _quality(
    grid: Grid, cell: CellVariant, counts: _Counts | None, pooled: bool = False
) -> MaskQuality:
    return MaskQuality(
        task=cell.base.suffix,
        variant=cell.variant,
        done=counts is not None,
        iou=None if counts is None else _mean_iou(grid, cell, counts),
        pooled=pooled,
    )


def _counts(grid: Grid, job: DatasetJob, num_processes: int) -> _Counts | None:
    """Voxels of each label; None if the data set has not been made, or deleted unmeasured."""
    folder = GridFolder(grid.folder)
    record = folder.read(job.name)
    if record is None:
        return None
    measure = partial(_measure, grid, str(record.facts["dataset"]), num_processes)
    try:
        return folder.measured("quality", job.key, record.run, measure, _from_json)
    except FileNotFoundError:
        return None


def _mean_iou(grid: Grid, cell: CellVariant, counts: _Counts) -> float | None:
    """Mean over the labels that count; None if one of them is undefined."""
    ious = [counts[label].iou for label in counted_labels(grid, cell.base, list(counts))]
    return sum(ious) / len(ious) if ious and not any(map(math.isnan, ious)) else None


def _measure(grid: Grid, name: str, num_processes: int) -> dict[str, list[int]]:
    """True positive, false positive and false negative voxels of each label, as JSON keeps them."""
    folder = grid.paths.raw / name
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    filled = RawDataset.open(folder)
    selection = Selection.read(filled.folder / SELECTION_FILE)
    base = RawDataset.open(grid.paths.raw / selection.base)
    labels = {
        label: values_of(entry)
        for label, entry in base.dataset_json["labels"].items()
        if label not in (BACKGROUND, IGNORE)
    }
    work = partial(_count, reader=base.reader(), labels=labels)
    pairs = dict(_masks(base, filled, list(selection.cases)))
    cases = map_cases(work, pairs, num_processes, "Comparing masks").values()
    total = {label: pool(counts[label] for counts in cases) for label in labels}
    return {label: [counts.tp, counts.fp, counts.fn] for label, counts in total.items()}


def _from_json(content: dict[str, list[int]]) -> dict[str, Counts]:
    return {label: Counts(*numbers) for label, numbers in content.items()}


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


def _count(
    pair: tuple[Path, Path], reader: str, labels: dict[str, tuple[int, ...]]
) -> dict[str, Counts]:
    truth, found = (read_label(file, reader) for file in pair)
    return count_labels(truth, found, labels)
