"""The steps of an experiment and what each waits for.

Every step is one job: ``base`` (make a phantom, keep the split), ``features`` (train a masked
autoencoder), ``interpolator`` (train one), ``dataset`` (select slices, write labels, interpolate
them), ``prepare`` (plans and preprocessing), ``train``, ``predict`` and ``score``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nnunet_sparse.grid.cells import (
    Base,
    CellVariant,
    Training,
    bases,
    configurations,
    variants,
)
from nnunet_sparse.grid.experiment import Configuration, Grid

STEPS = ("base", "features", "interpolator", "dataset", "prepare", "train", "predict", "score")
_ON_DEVICE = ("features", "interpolator", "train", "predict")


@dataclass(frozen=True)
class Preparation:
    """Plans of a variant, and the configurations that are preprocessed."""

    of: CellVariant
    plans: str
    first: Configuration
    configurations: tuple[str, ...]

    @property
    def key(self) -> str:
        """Name of its files."""
        return f"{self.of.suffix}__{self.plans}"


@dataclass(frozen=True)
class Job:
    """One step of an experiment.

    Attributes
    ----------
    step
        Its kind.
    key
        Name of its files.
    subject
        What it works on: a base, a variant, a preparation or a training.
    inputs
        Names of the jobs that must be done before.
    """

    step: str
    key: str
    subject: Any
    inputs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Step and key, which no other job has."""
        return f"{self.step}/{self.key}"

    @property
    def on_device(self) -> bool:
        """Whether it uses a GPU where there is one."""
        return self.step in _ON_DEVICE or (self.step == "dataset" and _network(self.subject))


def job_graph(grid: Grid) -> dict[str, Job]:
    """All jobs of an experiment by name, each after its inputs.

    Raises
    ------
    SparseError
        If bases do not exist or configurations contradict each other.
    """
    jobs: dict[str, Job] = {}
    for base in bases(grid):
        for job in _of_base(grid, base):
            jobs.setdefault(job.name, job)
    return jobs


def _of_base(grid: Grid, base: Base) -> Iterator[Job]:
    start = Job("base", base.suffix, base)
    yield start
    cells = variants(grid.experiment, base)
    if any(cell.variant.uses_features for cell in cells):
        yield Job("features", base.suffix, base, (start.name,))
    if any(_network(cell) for cell in cells):
        yield Job("interpolator", base.suffix, base, (start.name,))
    ways = configurations(grid, base)
    # the preprocessed images of all training cases are made by one variant, and linked by others
    leader = max(cells, key=lambda cell: cell.variant.s)
    for cell in [leader, *(cell for cell in cells if cell != leader)]:
        dataset = Job("dataset", cell.suffix, cell, _before_dataset(cell, start.name))
        yield dataset
        for plans in dict.fromkeys(plans for _, plans in ways):
            of_plans = [way for way, name in ways if name == plans]
            prepared = tuple(dict.fromkeys(way.configuration for way in of_plans))
            preparation = Preparation(cell, plans, of_plans[0], prepared)
            first = Preparation(leader, plans, of_plans[0], prepared)
            waits = () if cell == leader else (f"prepare/{first.key}",)
            prepare = Job("prepare", preparation.key, preparation, (dataset.name, *waits))
            yield prepare
            for way in of_plans:
                for repeat in range(grid.experiment.repeats):
                    yield from _of_training(Training(cell, way, plans, repeat), prepare.name)


def _of_training(training: Training, prepared: str) -> Iterator[Job]:
    before = prepared
    for step in ("train", "predict", "score"):
        job = Job(step, training.key, training, (before,))
        yield job
        before = job.name


def _before_dataset(cell: CellVariant, base: str) -> tuple[str, ...]:
    suffix = cell.base.suffix
    before = [base]
    if cell.variant.interpolation is not None:
        before.append(f"dataset/{cell.sparse.suffix}")
        if _network(cell):
            before.append(f"interpolator/{suffix}")
    elif cell.variant.uses_features:
        before.append(f"features/{suffix}")
    return tuple(before)


def _network(cell: CellVariant) -> bool:
    filled = cell.variant.interpolation
    return filled is not None and filled.uses_network
