"""Where networks run, and which GPUs there are."""

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"
_IMPOSSIBLE = {"", "-1", "NoDevFiles"}
# in a process of its own: once it has counted, it holds memory of each GPU, and others are hidden
_COUNT = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
# what PyTorch raises for names that it does not know, and for devices it was built without
_NO_DEVICE = (RuntimeError, AssertionError, ImportError, AttributeError, ValueError)


def best_device(name: str | None = None) -> "torch.device":
    """Device of that name; for None a GPU if there is one.

    Raises
    ------
    SparseError
        If there is no such device.
    """
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # which devices without numbers do not have
    except _NO_DEVICE as error:
        reason = "there is no GPU here" if name.startswith("cuda") else "choose cpu or cuda"
        raise SparseError(f"device {name!r} cannot be used: {reason}") from error
    return device


def half_precision(device: "torch.device") -> "torch.dtype | None":
    """Type in which a device convolves fastest, None for single precision.

    bfloat16 on a GPU that has it and on processors with AMX, float16 on other GPUs.
    """
    import torch

    if device.type == "cuda":
        with torch.cuda.device(device):
            has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bfloat16 else torch.float16
    # older versions of PyTorch do not tell what a processor has
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    has_amx = device.type == "cpu" and capabilities.get("amx_bf16", False)
    return torch.bfloat16 if has_amx else None


def check_device(name: str | None) -> None:
    """Refuse a device that cannot be used; None and ``cpu`` always can."""
    if name not in {None, "cpu"}:
        best_device(name)


def usable_gpus() -> tuple[str, ...]:
    """GPUs that this process may use and its PyTorch can, as ``CUDA_VISIBLE_DEVICES`` names them.

    PyTorch is not imported. Where there is a GPU, a process of its own is asked once (seconds).
    """
    return _usable(os.environ.get(VISIBLE))


@lru_cache
def _usable(visible: str | None) -> tuple[str, ...]:
    names = _listed() if visible is None else visible.split(",")
    # as CUDA does: what comes after an impossible one is not seen
    named = itertools.takewhile(lambda name: name not in _IMPOSSIBLE, (n.strip() for n in names))
    found = tuple(named)
    return found[: _count_usable()] if found else ()


@dataclass(frozen=True)
class GpuState:
    """How much of a GPU is used.

    Attributes
    ----------
    model
        What it is called.
    total, used
        Its memory, and what all processes have of it, MiB.
    busy
        Share of the last second or so in which it computed, from 0 to 1.
    """

    model: str
    total: int
    used: int
    busy: float


def gpu_state(gpu: str) -> GpuState | None:
    """How much of a GPU is used now; None where it does not tell, as parts of GPUs (MIG) do not.

    Parameters
    ----------
    gpu
        As ``CUDA_VISIBLE_DEVICES`` names it.
    """
    fields = "--query-gpu=name,memory.total,memory.used,utilization.gpu"
    said = _output_of("nvidia-smi", "-i", gpu, fields, "--format=csv,noheader,nounits")
    try:
        model, *numbers = (part.strip() for part in said.strip().rsplit(",", 3))
        total, used, busy = map(int, numbers)
    except ValueError:
        return None
    return GpuState(model, total, used, busy / 100) if total > 0 else None


def _listed() -> Sequence[str]:
    """Indices of the GPUs of this machine, whatever PyTorch makes of them."""
    return _output_of("nvidia-smi", "--query-gpu=index", "--format=csv,noheader").split()


def _count_usable() -> int:
    """Number of visible GPUs that PyTorch can use; 0 where it is not installed."""
    said = _output_of(sys.executable, "-c", _COUNT).split()
    return int(said[-1]) if said else 0


def _output_of(*command: str) -> str:
    """What a program prints; nothing if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout
