"""Several jobs on one GPU: what each kind takes of it is measured, and remembered.

The first training of a kind is alone until two of its epochs have been looked at. From then on
others join as far as memory and time go. Where memory runs out all the same, trainings of that kind
go on alone, from their checkpoints.
"""

import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from nnunet_sparse.grid.experiment import AUTO
from nnunet_sparse.grid.gpu_slot import ALONE, GpuClaim, GpuShare, gpu_slot
from nnunet_sparse.grid.job_threads import most_per_gpu, num_loading
from nnunet_sparse.grid.jobs import Job, TrainingJob, TrainJob
from nnunet_sparse.grid.step_work import Work
from nnunet_sparse.grid.train_work import training_folder
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.devices import GpuState, gpu_state, usable_gpus
from nnunet_sparse.system.env import environment
from nnunet_sparse.system.json_files import load_json

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 2.0
_NUM_EPOCHS = 2
_END_OF_EPOCH = b"Epoch time:"
_NO_MODEL = "GPU"  # of one that does not tell
_OUT_OF_MEMORY = ("out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")
_Done = TypeVar("_Done")


@dataclass(frozen=True)
class GpuNeed:
    """What a kind of training takes of a GPU model.

    Attributes
    ----------
    memory
        Most of its memory, as a share of all.
    busy
        Share of the time in which the GPU computes.
    alone
        Whether memory ran out when others were there.
    """

    memory: float
    busy: float
    alone: bool = False

    def share(self, most: int) -> GpuShare:
        """Place of such a training beside others, ``most`` in all."""
        return ALONE if self.alone or most == 1 else GpuShare(self.memory, self.busy, most)


class GpuNeeds:
    """What is known of one kind of training, by model of the GPU.

    Parameters
    ----------
    file
        Where it is remembered.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    @classmethod
    def of(cls, work: Work, job: TrainingJob) -> Self:
        """Of trainings that differ in their data set's slices, its seed and repeat alone."""
        training = job.subject
        way = training.configuration
        parts = (training.of.base.suffix, way.configuration, way.trainer, training.plans)
        return cls(work.folder.path / "gpu_needs" / f"{'__'.join(parts)}.json")

    def read(self, model: str) -> GpuNeed | None:
        """What a training of the kind takes of a GPU of that model; None if nobody knows."""
        try:
            return GpuNeed(**load_json(self.file)[model])
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def write(self, model: str, need: GpuNeed) -> None:
        """Remember it."""
        try:
            known = dict(load_json(self.file))
        except (OSError, ValueError, TypeError):
            known = {}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, {**known, model: asdict(need)})


def done_on_gpu(work: Work, job: Job, do: Callable[[], _Done]) -> _Done:
    """Do a job on a GPU, alone or beside others, as the experiment asks for it.

    Parameters
    ----------
    work
        What it needs.
    job
        The job.
    do
        Does it; once more, where memory ran out beside others.
    """
    most = most_per_gpu(work.grid.experiment, len(usable_gpus()))
    if most == 1 or not isinstance(job, TrainingJob):
        with gpu_slot():
            return do()
    return _Shared(work, job, most).done(do)


@dataclass(frozen=True)
class _Shared:
    """A job that may be beside others."""

    work: Work
    job: TrainingJob
    most: int

    @property
    def needs(self) -> GpuNeeds:
        return GpuNeeds.of(self.work, self.job)

    @property
    def is_measured(self) -> bool:
        return self.work.grid.experiment.trainings_per_gpu == AUTO

    def done(self, do: Callable[[], _Done]) -> _Done:
        """Do it, and once more where memory ran out beside others."""
        models: dict[str, str] = {}

        def model_of(gpu: str) -> str:
            # one that does not tell now may tell later
            if gpu not in models and (state := gpu_state(gpu)) is not None:
                models[gpu] = state.model
            return models.get(gpu, _NO_MODEL)

        with gpu_slot(lambda gpu: self._share(model_of(gpu))) as claim:
            assert claim is not None, "there are GPUs"
            model = model_of(claim.gpu)
            is_known = not self.is_measured or self.needs.read(model) is not None
            with self._cores(claim.share) if is_known else self._watched(claim):
                try:
                    return do()
                except Exception as error:
                    if claim.share.most == 1 or not is_out_of_memory(error):
                        raise
            # the error is gone, and with it what it held
            logger.warning("the memory of GPU %s ran out beside other jobs: alone", claim.gpu)
            before = self.needs.read(model) or GpuNeed(1, 1)
            self.needs.write(model, replace(before, alone=True))
            _free_memory()
            claim.be_alone()
            with self._cores(claim.share):
                return do()

    def _share(self, model: str) -> GpuShare:
        """What it takes of a GPU of that model, as far as is known now."""
        needed = self.needs.read(model)
        if needed is not None and (needed.alone or self.is_measured):
            return needed.share(self.most)
        return ALONE if self.is_measured else GpuShare.one_of(self.most)

    def _cores(self, share: GpuShare) -> AbstractContextManager[None]:
        """Let nnU-Net start as many processes for batches as the cores of the GPU allow."""
        if self.work.grid.experiment.threads != AUTO:
            return nullcontext()
        of_gpu = self.work.num_processes * self.most
        number = max(1, min(num_loading(), of_gpu // share.num_fitting - 1))
        return environment({"nnUNet_n_proc_DA": str(number)})

    @contextmanager
    def _watched(self, claim: GpuClaim) -> Iterator[None]:
        """Measure what a training takes that is alone, and then let others join."""
        if not isinstance(self.job, TrainJob):  # a prediction whose training was not looked at
            yield
            return
        folder = training_folder(self.work.grid, self.job.subject)
        watch = _Watch(claim, folder, self.needs, self.most)
        watch.start()
        try:
            yield
        finally:
            watch.ended.set()
            watch.join()


class _Watch(threading.Thread):
    """Looks at a GPU while a training is alone there, until two of its epochs are over."""

    def __init__(self, claim: GpuClaim, folder: Path, needs: GpuNeeds, most: int) -> None:
        super().__init__(daemon=True)
        self.claim, self.folder, self.needs, self.most = claim, folder, needs, most
        self.ended = threading.Event()
        self._before = set(self._logs())
        self._states: list[tuple[int, GpuState]] = []

    def run(self) -> None:
        """Look until it is known what the training takes, or it has ended."""
        has_ended = False
        while not has_ended:
            has_ended = self.ended.wait(_SECONDS_BETWEEN_LOOKS)
            num_epochs = self._num_epochs()
            state = gpu_state(self.claim.gpu)
            if state is not None:
                self._states.append((num_epochs, state))
            if state is not None and num_epochs >= _NUM_EPOCHS:
                need = self._need()
                self.needs.write(state.model, need)
                self.claim.change(need.share(self.most))
                return

    def _need(self) -> GpuNeed:
        """What has been seen; in the first epoch functions are still chosen and compiled."""
        states = [state for _, state in self._states]
        later = [state for num_epochs, state in self._states if num_epochs > 0]
        return GpuNeed(
            max(state.used / state.total for state in states),
            sum(state.busy for state in later) / len(later),
        )

    def _num_epochs(self) -> int:
        """Epochs that have ended, by what nnU-Net logs of each."""
        return sum(
            log.read_bytes().count(_END_OF_EPOCH) for log in set(self._logs()) - self._before
        )

    def _logs(self) -> Iterator[Path]:
        return self.folder.glob("training_log_*.txt")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a GPU has no memory left."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _OUT_OF_MEMORY)


def _free_memory() -> None:
    """Give back what nobody uses any more."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
