"""Jobs on the GPUs of a machine: who may join whom, and claims that end with their process."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import BaseFileLock

from nnunet_sparse.grid.experiment import MOST_PER_GPU
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.devices import VISIBLE, usable_gpus
from nnunet_sparse.system.env import environment
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.locks import held_if_free, locked, try_lock, unlock

logger = logging.getLogger(__name__)

_WAIT_S = 1.0
# not TMPDIR, which may differ between terminals
_TEMPORARY = Path("/tmp")
# what is left is for peaks, and for what allocators cannot use of it
_MEMORY = 0.9
_ROUNDING = 1e-6


@dataclass(frozen=True)
class GpuShare:
    """What a job takes of a GPU.

    Attributes
    ----------
    memory
        Share of the memory, from 0 to 1.
    busy
        Share of the time in which the GPU computes for it, from 0 to 1.
    most
        Jobs that it bears there, itself included.
    """

    memory: float
    busy: float
    most: int

    @classmethod
    def one_of(cls, number: int) -> "GpuShare":
        """One of as many that are alike."""
        return cls(_MEMORY / number, 1 / number, number)

    @property
    def num_fitting(self) -> int:
        """Jobs of the kind that have room on one GPU."""
        return next(n for n in range(self.most, 0, -1) if n == 1 or fit_together([self] * n))


ALONE = GpuShare(1, 1, 1)


def alone(gpu: str) -> GpuShare:  # noqa: ARG001
    """What a job takes that has a GPU for itself, whichever it is."""
    return ALONE


def fit_together(shares: Sequence[GpuShare]) -> bool:
    """Whether jobs have room on one GPU."""
    if len(shares) <= 1:
        return True
    return (
        len(shares) <= min(share.most for share in shares)
        and sum(share.memory for share in shares) <= _MEMORY + _ROUNDING
        and sum(share.busy for share in shares) <= 1 + _ROUNDING
    )


class GpuClaim:
    """A place on a GPU.

    Parameters
    ----------
    gpu
        Name of the GPU, as in ``CUDA_VISIBLE_DEVICES``.
    share
        What the job takes of it.
    """

    def __init__(self, gpu: str, share: GpuShare, folder: Path) -> None:
        self.gpu, self.share = gpu, share
        self._folder = folder
        self._place: Path | None = None
        self._lock: BaseFileLock | None = None

    def change(self, share: GpuShare) -> None:
        """Take less or more from now on, whoever is there."""
        assert self._place is not None
        with _admission(self._folder):
            self.share = share
            _write(self._place, share)

    def be_alone(self) -> None:
        """Leave, and come back when nobody else is there; nobody comes meanwhile."""
        self._leave()
        back = _claimed([self.gpu], alone, self._folder)
        self.share, self._place, self._lock = back.share, back._place, back._lock

    def _take(self) -> bool:
        """Whether there was room; to be called while nobody else looks."""
        places = _places(self._folder, self.gpu)
        held = {place: share for place, share in places.items() if share is not None}
        if not fit_together([*held.values(), self.share]):
            return False
        self._place = next(place for place in places if place not in held)
        self._lock = try_lock(_lock(self._place))
        if self._lock is None:
            return False
        _write(self._place, self.share)
        return True

    def _leave(self) -> None:
        if self._lock is not None and self._place is not None:
            self._place.unlink(missing_ok=True)
            unlock(self._lock)
        self._lock = self._place = None


ShareOf = Callable[[str], GpuShare]
"""What a job takes of a GPU, by the name of the GPU."""


@contextmanager
def gpu_slot(share_of: ShareOf = alone) -> Iterator[GpuClaim | None]:
    """Keep a place on a GPU for the duration of a block, waiting for one if there is no room.

    ``CUDA_VISIBLE_DEVICES`` names the GPU alone. Where there are none, nothing happens. Claims are
    per user and machine; those of a SLURM job are its own, since SLURM may call the GPUs of every
    job 0, 1 and so on. They end with their process.

    Parameters
    ----------
    share_of
        What the block takes of a GPU; asked again while it waits. Who needs one alone is waited for
        by those who come later.

    Yields
    ------
    GpuClaim or None
        The place; None where there are no GPUs.
    """
    gpus = usable_gpus()
    if not gpus:
        yield None
        return
    claim = _claimed(gpus, share_of, _lock_folder())
    try:
        with environment({VISIBLE: claim.gpu}):
            yield claim
    finally:
        claim._leave()


def _claimed(gpus: Sequence[str], share_of: ShareOf, folder: Path) -> GpuClaim:
    """Wait for a place on one of some GPUs; who needs one alone keeps others from coming."""
    folder.mkdir(mode=0o700, exist_ok=True)
    reserved: tuple[str, BaseFileLock] | None = None
    told = False
    try:
        while True:
            if reserved is not None and share_of(reserved[0]).most > 1:  # others may be there now
                unlock(reserved[1])
                reserved = None
            claim = _taken(gpus, share_of, folder, reserved[0] if reserved else None)
            if claim is not None:
                return claim
            if not told:
                logger.info("All GPUs are in use, waiting: %s", ", ".join(gpus))
                told = True
            if reserved is None:
                needed_alone = [gpu for gpu in gpus if share_of(gpu).most == 1]
                reserved = _reserved(needed_alone, folder)
            time.sleep(_WAIT_S)
    finally:
        if reserved is not None:
            unlock(reserved[1])


def _taken(
    gpus: Sequence[str], share_of: ShareOf, folder: Path, reserved: str | None
) -> GpuClaim | None:
    """A place on one of some GPUs, or None if there is none."""
    with _admission(folder):
        for gpu in sorted(gpus, key=lambda gpu: _num_jobs(folder, gpu)):
            with held_if_free(_reservation(folder, gpu)) as is_free:
                # asked here: it may have changed while the others looked
                claim = GpuClaim(gpu, share_of(gpu), folder)
                if (is_free or gpu == reserved) and claim._take():
                    return claim
    return None


def _reserved(gpus: Sequence[str], folder: Path) -> tuple[str, BaseFileLock] | None:
    """The GPU with fewest jobs that nobody else waits for, kept free for this process."""
    for gpu in sorted(gpus, key=lambda gpu: _num_jobs(folder, gpu)):
        lock = try_lock(_reservation(folder, gpu))
        if lock is not None:
            return gpu, lock
    return None


def _lock_folder() -> Path:
    parts = ["nnsparse_gpus", str(os.getuid()), os.environ.get("SLURM_JOB_ID", "")]
    return _TEMPORARY / "_".join(part for part in parts if part)


def _places(folder: Path, gpu: str) -> dict[Path, GpuShare | None]:
    """Places of a GPU, and who is there."""
    places = (folder / f"{_file_name(gpu)}.{n}.json" for n in range(MOST_PER_GPU + 1))
    return {place: _share_of(place) for place in places}


def _share_of(place: Path) -> GpuShare | None:
    """What is taken by the one in a place; None if nobody is."""
    if not _lock(place).exists():
        return None
    with held_if_free(_lock(place)) as is_free:
        if is_free:
            return None
    try:
        return GpuShare(**load_json(place))
    except (OSError, ValueError, TypeError):
        return ALONE


def _num_jobs(folder: Path, gpu: str) -> int:
    return sum(share is not None for share in _places(folder, gpu).values())


def _write(place: Path, share: GpuShare) -> None:
    write_json(place, asdict(share))


def _lock(place: Path) -> Path:
    return place.with_suffix(".lock")


def _reservation(folder: Path, gpu: str) -> Path:
    return folder / f"{_file_name(gpu)}.next.lock"


@contextmanager
def _admission(folder: Path) -> Iterator[None]:
    """Nobody comes or changes while somebody looks."""
    with locked(folder / "admission.lock"):
        yield


def _file_name(gpu: str) -> str:
    return gpu.replace("/", "_")
