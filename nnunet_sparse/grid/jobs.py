"""The jobs of an experiment and what each waits for.

A *step* is a kind of job, and has a class of its own: ``base`` (make a phantom, keep the split),
``features`` (train a masked autoencoder), ``interpolator`` (train one), ``dataset`` (select slices,
write labels, interpolate them; after trainings whose networks it asks), ``prepare`` (plans and
preprocessing), ``train``, ``predict`` and ``score``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from nnunet_sparse.grid.cells import (
    Base,
    CellVariant,
    Training,
    bases,
    configurations,
    trained_variants,
    variants,
)
from nnunet_sparse.grid.configuration import Configuration
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.taught_cells import teacher_name

_ON_DEVICE = ("features", "interpolator", "train", "predict")


@dataclass(frozen=True)
class Job(ABC):
    """One step of an experiment; a subclass says by ``subject`` what it works on.

    Attributes
    ----------
    inputs
        Names of the jobs that must be done before.
    """

    step: ClassVar[str]
    inputs: tuple[str, ...]

    @property
    @abstractmethod
    def key(self) -> str:
        """Name of its files."""

    @property
    def name(self) -> str:
        """Step and key, which no other job has."""
        return f"{self.step}/{self.key}"

    @property
    def on_device(self) -> bool:
        """Whether it uses a GPU where there is one."""
        return self.step in _ON_DEVICE


@dataclass(frozen=True)
class BaseJob(Job):
    """Makes a phantom, and keeps the split of the base."""

    step = "base"
    subject: Base

    @property
    def key(self) -> str:
        """Name of its files."""
        return self.subject.suffix


@dataclass(frozen=True)
class FeaturesJob(Job):
    """Trains the masked autoencoder of a variant, and keeps its features."""

    step = "features"
    subject: CellVariant

    @property
    def key(self) -> str:
        """Name of its files; what is not the default appears."""
        return "_".join([self.subject.base.suffix, *self.subject.variant.mae_names])


@dataclass(frozen=True)
class InterpolatorJob(Job):
    """Trains the network that carries labels between slices, as a variant needs it."""

    step = "interpolator"
    subject: CellVariant

    @property
    def key(self) -> str:
        """Name of its files; what is not the default appears."""
        interpolation = self.subject.variant.interpolation
        assert interpolation is not None
        return "_".join([self.subject.base.suffix, *interpolation.network_names])


@dataclass(frozen=True)
class DatasetJob(Job):
    """Makes the data set of a variant.

    Attributes
    ----------
    teachers
        Trainings whose networks choose its slices, or fill those between.
    """

    step = "dataset"
    subject: CellVariant
    teachers: tuple[Training, ...] = ()

    @property
    def key(self) -> str:
        """Name of its files."""
        return self.subject.suffix

    @property
    def on_device(self) -> bool:
        """Whether it uses a GPU where there is one."""
        return _uses_network(self.subject) or self.subject.teacher != ""


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
class PrepareJob(Job):
    """Plans and preprocesses a data set."""

    step = "prepare"
    subject: Preparation

    @property
    def key(self) -> str:
        """Name of its files."""
        return self.subject.key


@dataclass(frozen=True)
class TrainingJob(Job):
    """Has to do with one training."""

    subject: Training

    @property
    def key(self) -> str:
        """Name of its files."""
        return self.subject.key


class TrainJob(TrainingJob):
    """Trains a network."""

    step = "train"

    @property
    def group(self) -> str:
        """Trainings that may ask a cluster for one GPU together, as Snakemake calls them.

        None of them waits for another one.
        """
        return f"training{self.subject.of.num_before or ''}"


class PredictJob(TrainingJob):
    """Predicts the test cases."""

    step = "predict"


class ScoreJob(TrainingJob):
    """Scores the predictions."""

    step = "score"


_JOBS: tuple[type[Job], ...] = (
    *(BaseJob, FeaturesJob, InterpolatorJob, DatasetJob, PrepareJob),
    *(TrainJob, PredictJob, ScoreJob),
)
STEPS = tuple(job.step for job in _JOBS)
_Kind = TypeVar("_Kind", bound=Job)


def jobs_of(jobs: Mapping[str, Job], kind: type[_Kind]) -> list[_Kind]:
    """Jobs of one step."""
    return [job for job in jobs.values() if isinstance(job, kind)]


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
            if isinstance(job, DatasetJob):
                _check_teachers(grid, job, jobs)
            jobs.setdefault(job.name, job)
    return jobs


def _check_teachers(grid: Grid, job: DatasetJob, jobs: Mapping[str, Job]) -> None:
    """Refuse a data set that needs networks which the experiment does not train."""
    if not job.subject.teacher:
        return
    missing = [name for name in _train_jobs(job.teachers) if name not in jobs]
    if missing or not job.teachers:
        grid.fail_at(
            grid.experiment,
            "interpolation",
            f"network needs trainings of the same cells without interpolation, and {job.key} has "
            "none: leave out teacher, or what excludes them",
        )


def _of_base(grid: Grid, base: Base) -> Iterator[Job]:
    start = BaseJob((), base)
    yield start
    ways = configurations(grid, base)
    cells = variants(grid.experiment, base)
    if not cells:
        grid.fail(base.task.line, f"nothing is left of {base.suffix} by what is excluded")
    for cell in cells:
        if cell.variant.uses_features:
            yield FeaturesJob((start.name,), cell)
    for cell in cells:
        if _uses_network(cell):
            yield InterpolatorJob((start.name,), cell)
    of_ways = [
        (way, plans, {cell.suffix: cell for cell in trained_variants(grid.experiment, base, way)})
        for way, plans in ways
    ]
    # the preprocessed images of all training cases are made by one variant, and linked by others
    leader = max(cells, key=lambda cell: cell.variant.s)
    for cell in [leader, *(cell for cell in cells if cell != leader)]:
        dataset = _dataset_job(grid, cell, start.name, ways)
        yield dataset
        for plans in dict.fromkeys(plans for _, plans in ways):
            of_plans = [(way, trained) for way, name, trained in of_ways if name == plans]
            if cell != leader and not any(cell.suffix in trained for _, trained in of_plans):
                continue
            prepared = tuple(dict.fromkeys(way.configuration for way, _ in of_plans))
            first = PrepareJob((), Preparation(leader, plans, of_plans[0][0], prepared))
            waits = () if cell == leader else (first.name,)
            preparation = Preparation(cell, plans, of_plans[0][0], prepared)
            prepare = PrepareJob((dataset.name, *waits), preparation)
            yield prepare
            for way, trained in of_plans:
                if cell.suffix not in trained:
                    continue
                for repeat in range(grid.experiment.repeats):
                    training = Training(trained[cell.suffix], way, plans, repeat)
                    yield from _of_training(training, prepare.name)


def _of_training(training: Training, prepared: str) -> Iterator[Job]:
    train = TrainJob((prepared,), training)
    predict = PredictJob((train.name,), training)
    yield from (train, predict, ScoreJob((predict.name,), training))


def _dataset_job(
    grid: Grid, cell: CellVariant, base: str, ways: Sequence[tuple[Configuration, str]]
) -> DatasetJob:
    repeats, source = grid.experiment.repeats, cell.source
    before = [base]
    if source is not None:
        before.append(DatasetJob((), source).name)
    if _uses_network(cell):
        before.append(InterpolatorJob((), cell).name)
    if cell.variant.interpolation is None and cell.variant.uses_features:
        before.append(FeaturesJob((), cell).name)
    teachers = tuple(
        Training(source, way, plans, repeat)
        for way, plans in ways
        if source is not None and cell.teacher == teacher_name(way, repeats)
        for repeat in range(repeats)
    )
    return DatasetJob((*before, *_train_jobs(teachers)), cell, teachers)


def _train_jobs(trainings: Sequence[Training]) -> list[str]:
    return [TrainJob((), training).name for training in trainings]


def _uses_network(cell: CellVariant) -> bool:
    filled = cell.variant.interpolation
    return filled is not None and filled.uses_network
