"""One job per GPU: locks that share the GPUs of a machine among processes."""

import itertools
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_sparse.system.env import environment
from nnunet_sparse.system.locks import try_lock, unlock

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
_WAIT_S = 1.0
# not TMPDIR, which may differ between terminals
_TEMPORARY = Path("/tmp")
_IMPOSSIBLE = {"", "-1", "NoDevFiles"}


def visible_gpus() -> list[str]:
    """GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if VISIBLE in os.environ:
        names = [name.strip() for name in os.environ[VISIBLE].split(",")]
        # as CUDA does: what comes after an impossible one is not seen
        return list(itertools.takewhile(lambda name: name not in _IMPOSSIBLE, names))
    try:
        found = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return found.stdout.split()


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
    gpus = visible_gpus()
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
