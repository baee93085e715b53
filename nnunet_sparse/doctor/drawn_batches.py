"""Batches of a trainer, drawn and counted; each trainer's in a process of its own."""

from dataclasses import dataclass

from nnunet_sparse.doctor.batch_checks import BatchFacts, count_patches
from nnunet_sparse.doctor.batch_recorder import NoBatchesError
from nnunet_sparse.doctor.batches import BatchSource, open_batches
from nnunet_sparse.doctor.subject import Subject


@dataclass(frozen=True)
class BatchRequest:
    """Which batches are drawn.

    Attributes
    ----------
    subject
        The data set; the configuration is preprocessed.
    configuration
        Configuration of the plans.
    trainer
        Class name of the trainer whose batches they are.
    cases
        Preprocessed cases to draw from.
    num_batches
        How many; None for as many of the trainer ``like`` as take about half a minute.
    like
        Class name.
    """

    subject: Subject
    configuration: str
    trainer: str
    cases: tuple[str, ...]
    num_batches: int | None
    like: str

    def open(self, trainer: str) -> BatchSource:
        """Batches of this or another trainer, as by :func:`open_batches`."""
        return open_batches(self.subject, self.configuration, trainer, self.cases)


@dataclass(frozen=True)
class DrawnBatches:
    """What was counted in the batches of a trainer.

    Attributes
    ----------
    facts
        Sums over their patches.
    level_weights
        Weight in the loss of each output.
    """

    facts: BatchFacts
    level_weights: tuple[float, ...]


def draw(request: BatchRequest) -> DrawnBatches | NoBatchesError:
    """Draw and count batches; the error, to be raised in turn, where a trainer cannot make any."""
    try:
        source = request.open(request.trainer)
        number = request.num_batches
        if number is None:
            like = source if request.like == request.trainer else request.open(request.like)
            number = like.default_num_batches
        facts = count_patches(source.patches(number, annotation_only=True))
    except NoBatchesError as error:
        return error
    return DrawnBatches(facts, source.level_weights)
