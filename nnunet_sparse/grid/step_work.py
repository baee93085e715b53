"""What the work of a step is: what defines its result, whether that is there, how it is done."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from nnunet_sparse.grid.cells import Base
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import BaseJob, Job
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.system.devices import usable_gpus

Facts = dict[str, Any]
"""What a record keeps as JSON."""

JobKind = TypeVar("JobKind", bound=Job)


@dataclass(frozen=True)
class Work:
    """What a step needs besides its job.

    Attributes
    ----------
    grid
        The experiment.
    num_processes
        Processes of the job.
    """

    grid: Grid
    num_processes: int = 1

    @property
    def folder(self) -> GridFolder:
        """Folder of the experiment."""
        return GridFolder(self.grid.folder)

    @cached_property  # the one GPU that a job gets is not looked for again
    def device(self) -> str:
        """``cpu`` or ``cuda``; where there is a GPU, finding out takes seconds."""
        return device_of(self.grid)


class StepWork(ABC, Generic[JobKind]):
    """How one kind of job is done."""

    follows_inputs: ClassVar[bool] = False
    """Whether it is done again after a job before it was."""

    @abstractmethod
    def asked(self, work: Work, job: JobKind) -> Facts:
        """What defines the result."""

    @abstractmethod
    def is_there(self, work: Work, job: JobKind) -> bool:
        """Whether the files of a job that was done are still there."""

    @abstractmethod
    def do(self, work: Work, job: JobKind) -> Facts:
        """Do it; returns what is worth knowing."""

    def held(self, work: Work, job: JobKind) -> AbstractContextManager[None]:  # noqa: ARG002
        """Lock that is held meanwhile; it is waited for before a GPU is."""
        return nullcontext()


def device_of(grid: Grid) -> str:
    """``cuda`` or ``cpu``, as the experiment wants it or this machine has it."""
    wanted = grid.experiment.device
    if wanted == "auto":
        return "cuda" if usable_gpus() else "cpu"
    return wanted


def dataset_name(grid: Grid, suffix: str) -> str:
    """Full name of a data set that the experiment has made.

    Raises
    ------
    SparseError
        If it has not been made.
    """
    return str(GridFolder(grid.folder).read_done(f"dataset/{suffix}").facts["dataset"])


def base_name(grid: Grid, base: Base) -> str:
    """Full name of a base, which may be a phantom that the experiment has made.

    Raises
    ------
    SparseError
        If it has not been made.
    """
    if base.name is not None:
        return base.name
    return str(GridFolder(grid.folder).read_done(BaseJob((), base).name).facts["base"])
