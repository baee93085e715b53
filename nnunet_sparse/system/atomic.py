"""Writing files so that a reader, or a restart after a kill, never meets half of one."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_INDENT = 2
# as tempfile names them
_TEMPORARY = re.compile(r"\.nnsparse_[a-z0-9_]{8}")


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


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary folders that killed writers have left in a folder.

    To be called where nobody writes into the folder, as under its lock.
    """
    for leftover in folder.glob(".nnsparse_*"):
        if _TEMPORARY.fullmatch(leftover.name) and leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step (UTF-8)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, sort_keys: bool = True) -> None:
    """Write :func:`canonical_json` of ``content`` in one step."""
    write_text(path, canonical_json(content, sort_keys))


def canonical_json(content: Any, sort_keys: bool = True) -> str:
    """Format JSON so that equal content is equal text, and still pleasant to read.

    Lists without nested containers take one line, floats are written with their shortest exact
    form.

    Parameters
    ----------
    content
        What ``json.dumps`` takes.
    sort_keys
        Whether keys are sorted. Those of nnU-Net's ``dataset.json`` must not be: the order of its
        labels is the order of the regions.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON cannot hold.
    """
    return _format(content, 0, sort_keys) + "\n"


def _format(value: Any, level: int, sort_keys: bool) -> str:
    pad, end = " " * _INDENT * (level + 1), " " * _INDENT * level
    if isinstance(value, dict) and value:
        keys = sorted(value) if sort_keys else value
        items = (f"{json.dumps(str(k))}: {_format(value[k], level + 1, sort_keys)}" for k in keys)
        return "{\n" + ",\n".join(pad + item for item in items) + f"\n{end}}}"
    if isinstance(value, list | tuple) and any(isinstance(v, dict | list | tuple) for v in value):
        items = (_format(v, level + 1, sort_keys) for v in value)
        return "[\n" + ",\n".join(pad + item for item in items) + f"\n{end}]"
    return json.dumps(value, allow_nan=False)


def recover_folder(folder: Path) -> None:
    """Undo what a call of :func:`replace_folder` did that was killed."""
    old = _old(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.parent / f".nnsparse_old_{folder.name}"


def replace_folder(folder: Path, fresh: Path) -> None:
    """Give a complete folder its name; the one that has the name is removed, or stays on failure.

    Between two renames the name is free for a moment; a kill there leaves the old folder as
    ``.nnsparse_old_NAME``, which :func:`recover_folder` puts back.
    """
    recover_folder(folder)
    old = _old(folder)
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
