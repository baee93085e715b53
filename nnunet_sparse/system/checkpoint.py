"""Writing what torch keeps of a network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError


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
