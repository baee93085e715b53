"""Short hashes by which a change of a file's content is told from one of its time."""

import hashlib
from pathlib import Path

from nnunet_sparse.system.errors import naming

_LENGTH = 16


def file_digest(file: Path) -> str:
    """First 16 digits of the SHA-256 of a file's content.

    Raises
    ------
    OSError
        If it cannot be read; naming the file.
    """
    with naming(file), file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:_LENGTH]
