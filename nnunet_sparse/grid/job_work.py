"""The work of every job of an experiment, by its kind."""

from typing import Any

from nnunet_sparse.grid.base_work import BaseWork
from nnunet_sparse.grid.dataset_work import DatasetWork
from nnunet_sparse.grid.jobs import (
    BaseJob,
    DatasetJob,
    FeaturesJob,
    InterpolatorJob,
    Job,
    PredictJob,
    PrepareJob,
    ScoreJob,
    TrainJob,
)
from nnunet_sparse.grid.network_work import FeaturesWork, InterpolatorWork
from nnunet_sparse.grid.prediction_work import PredictWork, ScoreWork
from nnunet_sparse.grid.prepare_work import PrepareWork
from nnunet_sparse.grid.step_work import JobKind, StepWork
from nnunet_sparse.grid.train_work import TrainWork

# that keys and values belong together is what types cannot say
_WORK: dict[type[Job], StepWork[Any]] = {
    BaseJob: BaseWork(),
    FeaturesJob: FeaturesWork(),
    InterpolatorJob: InterpolatorWork(),
    DatasetJob: DatasetWork(),
    PrepareJob: PrepareWork(),
    TrainJob: TrainWork(),
    PredictJob: PredictWork(),
    ScoreJob: ScoreWork(),
}


def work_of(job: JobKind) -> StepWork[JobKind]:
    """How a job is done."""
    return _WORK[type(job)]
