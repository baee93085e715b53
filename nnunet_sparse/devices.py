"""Where networks run."""

from typing import Any

from nnunet_sparse.errors import SparseError


def best_device(name: str | None = None) -> Any:
    """Device (``torch.device``) of that name; for None a GPU if there is one.

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
        torch.zeros(1, device=device)
    except Exception as error:
        raise SparseError(f"device {name!r} cannot be used; cpu or cuda") from error
    return device


def half_precision(device: Any) -> Any:
    """Type (``torch.dtype``) in which a device convolves fastest, None for single precision.

    bfloat16 on a GPU that has it and on processors with AMX, float16 on other GPUs.
    """
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    has_amx = device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)
    return torch.bfloat16 if has_amx else None


def check_device(name: str | None) -> None:
    """Refuse a device that cannot be used; None and ``cpu`` always can."""
    if name not in {None, "cpu"}:
        best_device(name)
