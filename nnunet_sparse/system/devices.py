"""Where networks run."""

from typing import Any

from nnunet_sparse.system.errors import SparseError


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
        reason = "there is no GPU here" if name.startswith("cuda") else "choose cpu or cuda"
        raise SparseError(f"device {name!r} cannot be used: {reason}") from error
    return device


def half_precision(device: Any) -> Any:
    """Type (``torch.dtype``) in which a device convolves fastest, None for single precision.

    bfloat16 on a GPU that has it and on processors with AMX, float16 on other GPUs.
    """
    import torch

    if device.type == "cuda":
        with torch.cuda.device(device):
            has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bfloat16 else torch.float16
    # older versions of PyTorch do not tell what a processor has
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    has_amx = device.type == "cpu" and capabilities.get("amx_bf16", False)
    return torch.bfloat16 if has_amx else None


def check_device(name: str | None) -> None:
    """Refuse a device that cannot be used; None and ``cpu`` always can."""
    if name not in {None, "cpu"}:
        best_device(name)
