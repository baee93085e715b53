"""What annotation costs in hours, instead of slices."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.grid.cells import INTERPOLATED
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import DatasetJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import Result
from nnunet_sparse.grid.yaml_lines import load, read_yaml
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.schema import not_negative, setting

_TOUCHING = np.ones((3, 3), bool)


@dataclass(frozen=True)
class AnnotationCost:
    """Seconds that an annotator needs.

    Attributes
    ----------
    seconds_per_empty_slice
        For a slice without object.
    seconds_per_slice
        For a slice with objects, besides those.
    seconds_per_object
        For each object of a slice: pixels of one label that touch each other.
    seconds_per_volume
        For opening a volume.
    """

    seconds_per_empty_slice: float = setting(0.0, not_negative())
    seconds_per_slice: float = setting(0.0, not_negative())
    seconds_per_object: float = setting(0.0, not_negative())
    seconds_per_volume: float = setting(0.0, not_negative())


@dataclass(frozen=True)
class Effort:
    """What there is to annotate in a data set.

    Attributes
    ----------
    volumes
        Volumes with annotated slices.
    empty, slices
        Annotated slices without and with objects.
    objects
        Objects in them.
    """

    volumes: int
    empty: int
    slices: int
    objects: int

    def hours(self, cost: AnnotationCost) -> float:
        """Time that it takes."""
        seconds = (
            self.volumes * cost.seconds_per_volume
            + self.empty * cost.seconds_per_empty_slice
            + self.slices * cost.seconds_per_slice
            + self.objects * cost.seconds_per_object
        )
        return seconds / 3600


def read_cost(file: Path) -> AnnotationCost:
    """Read ``cost.yaml``.

    Raises
    ------
    SparseError
        With file and line, if it is wrong.
    """
    return load(AnnotationCost, read_yaml(file))


def annotation_hours(
    grid: Grid, results: list[Result], cost: AnnotationCost, num_processes: int
) -> dict[str, float]:
    """Hours of annotation of each data set, by its full name.

    Counted once for each data set and kept in the folder ``effort`` of the experiment. Data sets
    that were deleted before are left out.
    """
    folder, wanted = GridFolder(grid.folder), {r.dataset for r in results}
    found = {}
    for job in jobs_of(job_graph(grid), DatasetJob):
        record = folder.read(job.name)
        if record is None or record.facts["dataset"] not in wanted:
            continue
        # of an interpolated data set what people have annotated
        suffix = job.subject.sparse.suffix if job.subject.kind == INTERPOLATED else job.key
        count = partial(_count, grid, suffix, num_processes)
        try:
            effort = folder.measured("effort", job.key, record.run, count, lambda c: Effort(**c))
        except FileNotFoundError:
            continue
        found[str(record.facts["dataset"])] = effort.hours(cost)
    return found


def _count(grid: Grid, suffix: str, num_processes: int) -> dict[str, int]:
    record = GridFolder(grid.folder).read(f"dataset/{suffix}")
    name = str(record.facts["dataset"]) if record else suffix
    if not (grid.paths.raw / name).is_dir():
        raise FileNotFoundError(grid.paths.raw / name)
    selection = Selection.read(grid.paths.raw / name / SELECTION_FILE)
    base = RawDataset.open(grid.paths.raw / selection.base)
    jobs = {
        case_id: (base.training[case_id].label, chosen.slices)
        for case_id, chosen in selection.cases.items()
    }
    work = partial(_count_case, reader=base.reader(), axis=selection.axis)
    counts = map_cases(work, jobs, num_processes, "Counting objects")
    empty, slices, objects = (sum(numbers[k] for numbers in counts.values()) for k in range(3))
    return asdict(Effort(len(counts), empty, slices, objects))


def _count_case(job: tuple[Path, tuple[int, ...]], reader: str, axis: int) -> tuple[int, int, int]:
    """Annotated slices without and with objects, and the number of these."""
    file, indices = job
    label = np.moveaxis(read_label(file, reader), axis, 0)
    numbers = [count_objects(label[i]) for i in indices]
    empty = sum(number == 0 for number in numbers)
    return empty, len(numbers) - empty, sum(numbers)


def count_objects(label: np.ndarray) -> int:
    """Objects of a slice (y, x): connected parts of each label, corners included."""
    values = np.unique(label[label > 0])
    return sum(int(ndimage.label(label == value, structure=_TOUCHING)[1]) for value in values)
