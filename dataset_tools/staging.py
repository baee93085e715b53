"""The folder of a data set appears complete or not at all.

It is filled as ``nnUNet_raw/.nnsparse_partial_XXX``. A call that fails removes it; a call that is
killed or interrupted leaves it, and the same call goes on there.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunet_sparse.data.dataset_name import PARTIAL_PREFIX, reserve_id
from nnunet_sparse.system.atomic import replace_folder, write_json
from nnunet_sparse.system.paths import NnUNetPaths

# file in an unfinished folder that says what it is to become
_MARK = ".nnsparse_staged.json"


@contextmanager
def staged(
    paths: NnUNetPaths,
    name: str,
    dataset_id: int | None,
    parameters: Mapping[str, Any],
    replaced: str | None,
    commit: Callable[[str], None],
) -> Iterator[Path]:
    """Folder to build a data set in, which gets its name when the block ends without an error.

    To be entered by one process at a time for a name.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    name
        Name after the ID.
    dataset_id
        Wanted ID; None for a free one.
    parameters
        What decides the content: an unfinished folder of other parameters is not gone on with.
    replaced
        Full name of the data set to be replaced.
    commit
        Called with the full name when the folder is complete, just before it gets this name.

    Yields
    ------
    Path
        The folder, with what a killed call of the same parameters has left there.

    Raises
    ------
    SparseError
        If the ID is taken.
    """
    mark = {"name": name, "parameters": dict(parameters)}
    wanted = dataset_id if replaced is None else int(replaced[7:10])
    partial = _unfinished(paths, mark, wanted)
    if partial is None and replaced is None:
        partial = reserve_id(paths, dataset_id)[1]
    elif partial is None:
        partial = paths.raw / f"{PARTIAL_PREFIX}{wanted:03d}"
        partial.mkdir()
    target = paths.raw / f"Dataset{partial.name[-3:]}_{name}"
    try:
        write_json(partial / _MARK, mark)
        yield partial
        (partial / _MARK).unlink()
        commit(target.name)
        replace_folder(target, partial)
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def unfinished_id(paths: NnUNetPaths, name: str, dataset_id: int) -> bool:
    """Whether an ID is taken by an unfinished folder of that name."""
    content = read_json(paths.raw / f"{PARTIAL_PREFIX}{dataset_id:03d}" / _MARK)
    return isinstance(content, dict) and content.get("name") == name


def _unfinished(paths: NnUNetPaths, mark: dict[str, Any], wanted: int | None) -> Path | None:
    """Folder that a killed call has left and that can be gone on with; others of it are removed."""
    found = None
    for file in sorted(paths.raw.glob(f"{PARTIAL_PREFIX}[0-9][0-9][0-9]/{_MARK}")):
        content = read_json(file)
        if not isinstance(content, dict) or content.get("name") != mark["name"]:
            continue
        if found is None and content == mark and wanted in {None, int(file.parent.name[-3:])}:
            found = file.parent
        else:
            shutil.rmtree(file.parent)
    return found


def read_json(file: Path) -> Any:
    """Content of a file; None if it is missing or damaged."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
