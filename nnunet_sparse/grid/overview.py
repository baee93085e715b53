"""What an experiment amounts to, before anything is run: ``nnsparse_grid plan``."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.data.dataset_name import (
    FIRST_FREE_ID,
    MAX_ID,
    dataset_names,
    parse_dataset_name,
    taken_ids,
)
from nnunet_sparse.data.geometry import read_geometry, resolve_axis
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import DEFAULT_VAL, find_split
from nnunet_sparse.grid.cell_kinds import DENSE, INTERPOLATED, PARTNER, ROUND, SPARSE
from nnunet_sparse.grid.cells import (
    Base,
    CellVariant,
    bases,
    configurations,
    left_out_variants,
    trained_variants,
    variants,
)
from nnunet_sparse.grid.expected_time import time_lines
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.job_threads import thread_lines
from nnunet_sparse.grid.jobs import DatasetJob, Job, TrainJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.scored_labels import counted_labels, labels_of, mean_in_words
from nnunet_sparse.grid.train_work import training_folder
from nnunet_sparse.selection.budget import Budget, num_annotated_volumes, share_name
from nnunet_sparse.selection.choose_slices import choose_volumes, slices_so_far
from nnunet_sparse.system.errors import SparseError

_GIB = 2**30
# phantoms are stored as axial stacks
_PHANTOM_AXES = {"auto": 0, "axial": 0, "coronal": 1, "sagittal": 2}


@dataclass(frozen=True)
class BaseFacts:
    """A base as its files, or the parameters of a phantom, show it.

    Attributes
    ----------
    num_slices
        Length of the slice axis of each training case.
    num_val, num_test
        Number of cases.
    voxels
        Voxels of all channels of all training and validation images.
    """

    num_slices: Mapping[str, int]
    num_val: int
    num_test: int
    voxels: int


def base_facts(grid: Grid, base: Base) -> BaseFacts:
    """Look at a base; nothing is written.

    Raises
    ------
    SparseError
        If it cannot be read or split.
    """
    if base.name is None:
        return _phantom_facts(base)
    raw = RawDataset.open(grid.paths.raw / base.name)
    split, _ = find_split(raw, grid.paths, base.task.split_request(grid.file.parent))
    shown = [*split.train, *split.val]
    geometries = {case: read_geometry(raw.training[case].images[0], raw.reader()) for case in shown}
    axis = resolve_axis(base.task.axis, geometries)
    voxels = sum(int(np.prod(geometry.shape)) for geometry in geometries.values())
    return BaseFacts(
        {case: geometries[case].shape[axis] for case in split.train},
        len(split.val),
        len(split.test),
        voxels * raw.num_channels,
    )


def _phantom_facts(base: Base) -> BaseFacts:
    phantom = base.task.phantom
    assert phantom is not None
    num_val = num_annotated_volumes(DEFAULT_VAL, phantom.num_train)  # rounded in the same way
    axis = int(_PHANTOM_AXES.get(base.task.axis, base.task.axis))
    lengths = {f"case_{k}": phantom.shape[axis] for k in range(phantom.num_train - num_val)}
    voxels = int(np.prod(phantom.shape)) * phantom.num_train
    return BaseFacts(lengths, num_val, phantom.num_test, voxels)


def budget(cell: CellVariant, facts: BaseFacts) -> int:
    """Number of annotated slices of a variant.

    Raises
    ------
    SparseError
        If it is more than there are, or a least number per volume exceeds it.
    """
    variant = cell.variant
    volumes = choose_volumes(list(facts.num_slices), variant.s, variant.seed)
    lengths = {case: facts.num_slices[case] for case in volumes}
    return sum(slices_so_far(variant, lengths).values())


def overview(grid: Grid) -> str:
    """Numbers of data sets, trainings and slices, disk and time.

    Raises
    ------
    SparseError
        If a base cannot be read, or there are not enough IDs for the data sets.
    """
    jobs = job_graph(grid)
    lines: list[str] = []
    looked_at = [(base, base_facts(grid, base)) for base in bases(grid)]
    for base, facts in looked_at:
        lines += [*_base_lines(grid, base, facts), ""]
    counts = Counter(job.step for job in jobs.values())
    lines.append(
        f"in all: {counts['dataset']} data sets, {counts['train']} trainings, {len(jobs)} jobs"
    )
    _check_ids(grid, jobs_of(jobs, DatasetJob))
    lines += _shared_lines(counts)
    lines += thread_lines(grid.experiment)
    lines += time_lines(grid, jobs)
    lines += _disk_lines(grid, looked_at, jobs)
    return "\n".join(lines)


def _base_lines(grid: Grid, base: Base, facts: BaseFacts) -> list[str]:
    total = sum(facts.num_slices.values())
    cells = variants(grid.experiment, base)
    kinds = Counter(cell.kind for cell in cells)
    lines = [
        f"{base.name or base.suffix + ' (a phantom that will be made)'}: "
        f"{len(facts.num_slices)} training cases with {total} slices, {facts.num_val} for "
        f"validation, {facts.num_test} for test",
        f"  {len(cells)} data sets: {kinds[SPARSE]} sparse, {kinds[INTERPOLATED]} interpolated"
        + (f" and {kinds[PARTNER]} for comparison with them" if kinds[PARTNER] else "")
        + (f", {kinds[ROUND]} in rounds" if kinds[ROUND] else "")
        + (", 1 dense" if kinds[DENSE] else ""),
        *_way_lines(grid, base),
        f"  scored on {_scored_on(grid, base)}",
        f"  annotated slices of {total}:",
    ]
    weight = base.task.positive_weight
    if weight != 1 and all(cell.variant.positive_weight == 1 for cell in cells):
        lines.insert(
            -1,
            f"  positive_weight {weight:g} is not used: it is for cells with interpolation",
        )
    slices: dict[tuple[float, Budget], set[int]] = defaultdict(set)
    for cell in cells:
        if cell.kind != DENSE:
            slices[cell.variant.s, cell.variant.amount].add(budget(cell, facts))
    amounts = sorted({amount for _, amount in slices})
    lines.append("    s \\ rho  " + "".join(f"{_title(amount):>12}" for amount in amounts))
    for s in sorted({s for s, _ in slices}):
        row = "".join(f"{_range(slices.get((s, amount), set())):>12}" for amount in amounts)
        lines.append(f"    {share_name(s):<9}{row}")
    return lines


def _way_lines(grid: Grid, base: Base) -> list[str]:
    """How the data sets are trained; a line for each way where some are excluded in one."""
    ways, repeats = configurations(grid, base), grid.experiment.repeats
    names = [f"{way.configuration} {way.trainer} ({plans})" for way, plans in ways]
    left_out = [len(left_out_variants(grid.experiment, base, way)) for way, _ in ways]
    if not any(left_out):
        return [f"  {len(ways)} x {repeats} trainings of each: " + ", ".join(names)]
    return [
        f"  {len(trained_variants(grid.experiment, base, way))} x {repeats} trainings: {name}"
        + (f", {number} excluded" if number else "")
        for (way, _), name, number in zip(ways, names, left_out, strict=True)
    ]


def _scored_on(grid: Grid, base: Base) -> str:
    """Labels that count, and why."""
    names = labels_of(grid, base)
    counted = counted_labels(grid, base, names)
    by_roles = not base.task.labels and len(counted) < len(names)
    return mean_in_words(counted) + (
        ": the target, by the roles in dataset.json" if by_roles else ""
    )


def _title(amount: Budget) -> str:
    return amount.text if amount.rho is None else share_name(amount.rho)


def _range(numbers: set[int]) -> str:
    """One number, or the smallest and largest where seeds make a difference."""
    if not numbers:
        return "-"
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"


def _check_ids(grid: Grid, datasets: list[DatasetJob]) -> None:
    folder = GridFolder(grid.folder)
    there = {parse_dataset_name(name)[1] for name in dataset_names(grid.paths.raw)}
    missing = sum(folder.read(job.name) is None and job.key not in there for job in datasets)
    free = MAX_ID - len(taken_ids(grid.paths))
    if missing > free:
        raise SparseError(
            f"{missing} data sets are to be made, and {free} of nnU-Net's IDs (1 to {MAX_ID}) are "
            f"free in {grid.paths.raw}; split the experiment, with a folder nnunet: for each part "
            f"(IDs from {FIRST_FREE_ID} on are used first)"
        )


def _shared_lines(counts: Counter[str]) -> list[str]:
    lines = ["made once for each base: its split, plans and preprocessed images"]
    for step, what in (("features", "a masked autoencoder"), ("interpolator", "an interpolator")):
        if counts[step]:
            lines[0] += f", {what}"
    return lines


def _disk_lines(
    grid: Grid, looked_at: Sequence[tuple[Base, BaseFacts]], jobs: Mapping[str, Job]
) -> list[str]:
    """Disk that preprocessed images and trained networks take."""
    lines = []
    for base, facts in looked_at:
        names = {way.configuration for way, _ in configurations(grid, base)}
        size = facts.voxels * 4 * len(names) / _GIB
        lines.append(
            f"disk: up to {size:.2g} GiB for the images of {base.suffix} "
            f"({len(names)} configuration{'s' * (len(names) > 1)}, at their own spacing, before "
            "compression)"
        )
    of_trainings = jobs_of(jobs, TrainJob)
    sizes = [size for job in of_trainings if (size := _size_of_training(grid, job))]
    trainings = len(of_trainings)
    if sizes:
        mean = statistics.mean(sizes)
        lines.append(
            f"disk: {mean * trainings / _GIB:.2g} GiB for {trainings} trained networks "
            f"({mean / 2**20:.0f} MiB each, measured)"
        )
    else:
        lines.append("disk: networks are measured when the first training is done")
    return lines


def _size_of_training(grid: Grid, job: TrainJob) -> int:
    folder = GridFolder(grid.folder)
    needed = (job.name, f"dataset/{job.subject.of.suffix}")
    if any(folder.read(name) is None for name in needed):
        return 0
    files = training_folder(grid, job.subject).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
