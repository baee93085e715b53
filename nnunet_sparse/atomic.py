"""Writing files so that a reader, or a restart after a kill, never meets half of one."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_INDENT = 2


@contextmanager
def atomic_path(path: Path, staging: Path | None = None) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends without an error.

    Parameters
    ----------
    path
        File to be written; an existing one is replaced in one step.
    staging
        Folder for the temporary file, on the same file system; by default the folder of ``path``.
        Folders that nnU-Net lists by file ending (``labelsTr``) need another one.

    Yields
    ------
    Path
        Temporary path with the same file name, so that writers which look at the ending work.
    """
    with tempfile.TemporaryDirectory(prefix=".nnsparse_", dir=staging or path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step (UTF-8)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write :func:`canonical_json` of ``content`` in one step."""
    write_text(path, canonical_json(content))


def canonical_json(content: Any) -> str:
    """Format JSON so that equal content is equal text, and still pleasant to read.

    Keys are sorted, lists without nested containers take one line, floats are written with their
    shortest exact form.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON cannot hold.
    """
    return _format(content, level=0) + "\n"


def _format(value: Any, level: int) -> str:
    pad, end = " " * _INDENT * (level + 1), " " * _INDENT * level
    if isinstance(value, dict) and value:
        items = (f"{json.dumps(str(k))}: {_format(value[k], level + 1)}" for k in sorted(value))
        return "{\n" + ",\n".join(pad + item for item in items) + f"\n{end}}}"
    if isinstance(value, list | tuple) and any(isinstance(v, dict | list | tuple) for v in value):
        return "[\n" + ",\n".join(pad + _format(v, level + 1) for v in value) + f"\n{end}]"
    return json.dumps(value, allow_nan=False)
