"""The steps ``features`` and ``interpolator``: networks that are trained without labels."""

from nnunet_sparse.data.split import SplitRequest
from nnunet_sparse.data.training_images import TrainingImages, open_training_images
from nnunet_sparse.features.feature_store import slice_features
from nnunet_sparse.grid.cells import Base
from nnunet_sparse.grid.jobs import FeaturesJob, InterpolatorJob
from nnunet_sparse.grid.step_work import Facts, StepWork, Work, base_name
from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest


class FeaturesWork(StepWork[FeaturesJob]):
    """Trains a masked autoencoder and keeps the features of all training slices."""

    def asked(self, work: Work, job: FeaturesJob) -> Facts:  # noqa: ARG002
        """The axis, and what of the network is not the default."""
        names = job.subject.variant.mae_names
        return _axis(job.subject.base) | ({"network": names} if names else {})

    def is_there(self, work: Work, job: FeaturesJob) -> bool:
        """Whether the network is."""
        images, request = _images(work, job.subject.base), job.subject.variant.mae_request()
        return request.model_of(images).checkpoint.is_file()

    def do(self, work: Work, job: FeaturesJob) -> Facts:
        """Train it, and compute the features."""
        images = _images(work, job.subject.base)
        request = job.subject.variant.mae_request(work.device)
        request.train(images, work.num_processes)
        slice_features(images, request, work.num_processes)
        return {}


class InterpolatorWork(StepWork[InterpolatorJob]):
    """Trains the network that carries labels between slices."""

    def asked(self, work: Work, job: InterpolatorJob) -> Facts:  # noqa: ARG002
        """The axis, and what of the network is not the default."""
        interpolation = job.subject.variant.interpolation
        names = interpolation.network_names if interpolation is not None else []
        return _axis(job.subject.base) | ({"network": names} if names else {})

    def is_there(self, work: Work, job: InterpolatorJob) -> bool:
        """Whether the network is."""
        images, request = _images(work, job.subject.base), _interpolator(job, None)
        return request.model_of(images).checkpoint.is_file()

    def do(self, work: Work, job: InterpolatorJob) -> Facts:
        """Train it."""
        images = _images(work, job.subject.base)
        _interpolator(job, work.device).train(images, work.num_processes)
        return {}


def _interpolator(job: InterpolatorJob, device: str | None) -> InterpolatorRequest:
    interpolation = job.subject.variant.interpolation
    assert interpolation is not None
    return interpolation.network(device)


def _axis(base: Base) -> Facts:
    return {"axis": base.task.axis}


def _images(work: Work, base: Base) -> TrainingImages:
    name = base_name(work.grid, base)
    return open_training_images(work.grid.paths, name, base.task.axis, SplitRequest())
