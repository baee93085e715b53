"""Unfinished folders of data sets that earlier versions have left, which had no common marker."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nnunet_sparse.data.dataset_name import PARTIAL_PREFIX
from nnunet_sparse.system.atomic import as_json, is_earlier_temporary
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.locks import held_if_free
from nnunet_sparse.system.publication import MARKER, discard
from nnunet_sparse.system.software import without_software

Belongs = Callable[[Path], bool]
"""Tells whether a folder is an unfinished one of a data set that is made."""

_PHANTOM_MARKER = ".nnsparse_phantom"


def remove_earlier(raw: Path, belongs: Belongs) -> None:
    """Remove unfinished folders of a data set, and those in which nothing was written.

    Parameters
    ----------
    raw
        ``nnUNet_raw``.
    belongs
        Tells those of the data set, of which nobody else is at work on the lock being held.
    """
    for partial in sorted(raw.glob(f"{PARTIAL_PREFIX}[0-9][0-9][0-9]")):
        if not is_earlier(partial, belongs):
            continue
        # else a process of an earlier version is at work
        with held_if_free(partial.with_name(f"{partial.name}.lock")) as held:
            if held:
                discard(partial)


def is_earlier(partial: Path, belongs: Belongs) -> bool:
    """Whether an earlier version has left a folder that can be removed."""
    if not partial.is_dir() or (partial / MARKER).exists():
        return False
    try:
        return all(map(is_earlier_temporary, partial.iterdir())) or belongs(partial)
    except FileNotFoundError:  # has just got its name
        return False


def has_phantom_marker(partial: Path, name: str) -> bool:
    """Whether ``make_phantom`` was writing a data set of that name."""
    try:
        return (partial / _PHANTOM_MARKER).read_text(encoding="utf-8") == name
    except (OSError, ValueError):
        return False


def is_called(partial: Path, name: str, beside: str) -> bool:
    """Whether its ``dataset.json`` has that name, beside a key or a file that tells its maker."""
    content = read_json(partial / "dataset.json")
    if not isinstance(content, dict) or content.get("name") != name:
        return False
    return beside in content or (partial / beside).is_file()


def holds_only(partial: Path, documents: Mapping[str, Any]) -> bool:
    """Whether it holds some of these JSON files, versions of software aside, and no other one."""
    files = [path for path in partial.iterdir() if path.is_file()]
    return bool(files) and all(
        path.name in documents
        and without_software(read_json(path)) == without_software(as_json(documents[path.name]))
        for path in files
    )
