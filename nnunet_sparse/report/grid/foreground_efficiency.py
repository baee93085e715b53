"""Foreground efficiency: how fast scores rise with the foreground that is annotated."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split
from nnunet_sparse.grid.cell_kinds import DENSE
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import BaseJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.report.grid.factor_columns import having
from nnunet_sparse.report.grid.round_lines import RoundLines
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.parallel import map_cases

_OfCases = Mapping[str, Sequence[int]]


def foreground_shares(
    grid: Grid, every: Sequence[RoundLines], num_processes: int
) -> dict[str, float]:
    """Share of the foreground voxels of all training volumes that is annotated, by data set.

    Voxels are counted once for each base, along its slice axis, and kept in the folder
    ``foreground`` of the experiment. Data sets that were deleted are left out.
    """
    folder, found = GridFolder(grid.folder), {}
    for job in jobs_of(job_graph(grid), BaseJob):
        scored = [lines.scored for lines in every if lines.panel.task == job.subject.suffix]
        names = sorted({name for rows in scored for name in rows["dataset"]})
        files = [grid.paths.raw / name / SELECTION_FILE for name in names]
        selections = {file.parent.name: Selection.read(file) for file in files if file.is_file()}
        record = folder.read(job.name)
        if record is None or not selections:
            continue
        base = grid.paths.raw / str(record.facts["base"])
        axis = next(iter(selections.values())).axis
        measure = partial(_measure, grid, base, axis, num_processes)
        voxels = folder.measured("foreground", job.key, record.run, measure, _as_read)
        total = sum(map(sum, voxels.values()))
        for name, selection in selections.items() if total else ():
            annotated = (
                voxels[case_id][i] for case_id, case in selection.cases.items() for i in case.slices
            )
            found[name] = sum(annotated) / total
    return found


def _as_read(content: dict[str, list[int]]) -> _OfCases:
    return content


def _measure(grid: Grid, folder: Path, axis: int, num_processes: int) -> dict[str, list[int]]:
    """Foreground voxels of each slice of each training volume."""
    base = RawDataset.open(folder)
    split, _ = find_split(base, grid.paths, SplitRequest())
    labels = {case_id: base.training[case_id].label for case_id in split.train}
    count = partial(_count, reader=base.reader(), axis=axis)
    return map_cases(count, labels, num_processes, "Counting foreground")


def _count(file: Path, reader: str, axis: int) -> list[int]:
    slices = np.moveaxis(read_label(file, reader), axis, 0)
    return [int((image > 0).sum()) for image in slices]


def foreground_efficiency(
    lines: RoundLines, shares: Mapping[str, float]
) -> dict[str, float | None]:
    """Rate at which the scores of each line approach that of dense annotation.

    FG-Eff of nnActive (Lueth et al. 2025, arXiv 2511.19183): the gamma that fits ``y = y_full -
    (y_full - y_start) exp(-gamma (x - x_start))`` to all rounds by least squares; x is the share of
    the foreground voxels of the training volumes that is annotated, the first round is the start.
    Deviation: y is batched IoU, not mean Dice.

    Parameters
    ----------
    lines
        Lines of one setting.
    shares
        By full name of the data set, see :func:`foreground_shares`.

    Returns
    -------
    dict of float or None
        By line; None without dense annotation, where the start is as good as that, or where fewer
        than two rounds are known.
    """
    dense = lines.panel.of_kind(DENSE)["batched_IoU"].dropna()
    rows = lines.scored
    rows = rows.assign(share=rows["dataset"].map(shares)).dropna(subset="share")
    start = having(rows, round=1)
    found: dict[str, float | None] = dict.fromkeys(lines.names)
    if dense.empty or start.empty:
        return found
    full, first = float(dense.mean()), float(start["batched_IoU"].mean())
    origin = float(start["share"].mean())
    for name in lines.names:
        line = having(rows, line=name)
        if line["round"].nunique() > 1 and full > first:
            found[name] = fitted_rate(
                line["share"].to_numpy(float) - origin,
                (full - line["batched_IoU"].to_numpy(float)) / (full - first),
            )
    return found


def fitted_rate(share: np.ndarray, gap: np.ndarray) -> float | None:
    """The gamma for which ``exp(-gamma * share)`` fits gaps (n,) best; None if there is none."""
    from scipy.optimize import least_squares

    if not (share > 0).any():
        return None
    scale = float(share[share > 0].mean())
    found = least_squares(lambda rate: np.exp(-rate[0] * share / scale) - gap, [1.0])
    return float(found.x[0]) / scale if found.success else None
