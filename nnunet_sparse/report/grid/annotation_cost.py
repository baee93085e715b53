"""What annotation costs in hours, instead of slices."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.annotation_effort import AnnotationCost, Effort, effort_of
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.grid.cell_kinds import INTERPOLATED
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import DatasetJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import Result
from nnunet_sparse.grid.yaml_lines import load, read_yaml
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.parallel import map_cases


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

    Counted once for each data set and kept in the folder ``effort`` of the experiment; counts of
    earlier versions are made anew where they lack something that the cost needs. Data sets that
    were deleted before are left out.
    """

    def hours_of(counts: dict[str, Any]) -> float:
        return Effort(**counts).hours(cost)

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
            hours = folder.measured("effort", job.key, record.run, count, hours_of)
        except FileNotFoundError:
            continue
        found[str(record.facts["dataset"])] = hours
    return found


def _count(grid: Grid, suffix: str, num_processes: int) -> dict[str, Any]:
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
    return asdict(sum(counts.values(), Effort(0, 0, 0, 0, ())))


def _count_case(job: tuple[Path, tuple[int, ...]], reader: str, axis: int) -> Effort:
    file, indices = job
    return effort_of(np.moveaxis(read_label(file, reader), axis, 0), indices)
