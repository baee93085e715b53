"""How many slices, and how many volumes."""

import math

from nnunet_sparse.errors import SparseError


def check_share(name: str, value: float) -> None:
    """Refuse a share outside (0, 1]; NaN too."""
    if not 0 < value <= 1:
        hint = {
            "rho": "0.2 annotates every fifth slice",
            "s": "0.5 annotates half of the volumes",
        }[name]
        raise SparseError(f"{name} must lie in (0, 1], got {value:g} ({hint})")


def num_annotated_slices(rho: float, num_slices: int) -> int:
    """Annotated slices of a volume: ``max(1, floor(rho * num_slices + 0.5))``."""
    return max(1, math.floor(rho * num_slices + 0.5))


def num_annotated_volumes(s: float, num_train: int) -> int:
    """Volumes that carry annotation: ``max(1, floor(s * num_train + 0.5))``."""
    return max(1, math.floor(s * num_train + 0.5))
