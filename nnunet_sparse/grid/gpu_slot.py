"""One job per GPU: locks that share the GPUs of a machine among processes."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_sparse.system.devices import VISIBLE, usable_gpus
from nnunet_sparse.system.env import environment
from nnunet_sparse.system.locks import try_lock, unlock

logger = logging.getLogger(__name__)

_WAIT_S = 1.0
# not TMPDIR, which may differ between terminals
_TEMPORARY = Path("/tmp")


def _lock_folder() -> Path:
    parts = ["nnsparse_gpus", str(os.getuid()), os.environ.get("SLURM_JOB_ID", "")]
    return _TEMPORARY / "_".join(part for part in parts if part)


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Keep a GPU for the duration of a block, waiting for one if all are taken.

    ``CUDA_VISIBLE_DEVICES`` names it alone. Where there are none, nothing happens. The locks are
    per user and machine; those of a SLURM job are its own, since SLURM may call the GPUs of every
    job 0, 1 and so on.
    """
    gpus = usable_gpus()
    if not gpus:
        yield
        return
    folder = _lock_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    told = False
    while True:
        for gpu in gpus:
            lock = try_lock(folder / f"{gpu.replace('/', '_')}.lock")
            if lock is None:
                continue
            try:
                with environment({VISIBLE: gpu}):
                    yield
            finally:
                unlock(lock)
            return
        if not told:
            logger.info("All GPUs are in use, waiting: %s", ", ".join(gpus))
            told = True
        time.sleep(_WAIT_S)
