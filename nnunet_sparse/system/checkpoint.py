"""Writing and reading what torch keeps of a network."""

import pickle
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.regular_files import check_regular

DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)
"""What torch raises where a checkpoint is damaged, and networks where it is that of another one."""


def load_checkpoint(path: Path, device: Any = "cpu") -> Any:
    """Read a checkpoint, of which nothing is run.

    Parameters
    ----------
    path
        The file.
    device
        Where its tensors are put.

    Raises
    ------
    SparseError
        If it is damaged.
    OSError
        If it cannot be opened.
    """
    import torch

    check_regular(path)
    with path.open("rb") as file:
        try:
            return torch.load(file, map_location=device, weights_only=True)
        except DAMAGED as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise SparseError(f"{path} is damaged: {reason[:200]}") from error


def save_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint in one step.

    Raises
    ------
    SparseError
        If it cannot be written, on a full disk for instance, for which torch has errors of its own.
    """
    with saving_checkpoint(content, path):
        pass


@contextmanager
def saving_checkpoint(content: Mapping[str, Any], path: Path) -> Iterator[None]:
    """Write a checkpoint, which gets its name when the block ends without an error.

    Raises
    ------
    SparseError
        As :func:`save_checkpoint`.
    """
    import torch

    try:
        with atomic_path(path) as temporary:
            torch.save(dict(content), temporary)
            yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise SparseError(f"cannot write {path}: {reason}") from error
