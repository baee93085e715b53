"""Making a data set's folder appear complete or not at all, under an ID of its own.

The folder is filled as ``nnUNet_raw/.nnsparse_partial_XXX`` and renamed at the end. A process that
is killed leaves it, and the same call continues there; a process that fails removes it.
"""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from nnunet_sparse.atomic import canonical_json, write_json
from nnunet_sparse.dataset_name import (
    PARTIAL_PREFIX,
    check_id,
    dataset_names,
    parse_dataset_name,
    reserve_id,
)
from nnunet_sparse.errors import SparseError
from nnunet_sparse.paths import NnUNetPaths
from nnunet_sparse.raw_dataset import SELECTION_FILE
from nnunet_sparse.selection import Selection

logger = logging.getLogger(__name__)

Documents = dict[str, Any]


@dataclass(frozen=True)
class Publication:
    """A data set's folder, and whether this call made it."""

    folder: Path
    created: bool


def publish(
    paths: NnUNetPaths,
    suffix: str,
    documents: Documents,
    fill: Callable[[Path], None],
    *,
    dataset_id: int | None = None,
    overwrite: bool = False,
) -> Publication:
    """Make a data set of ours, unless it exists.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    suffix
        Name of the data set without ``DatasetXXX_``.
    documents
        Content of its JSON files by name, ``selection.json`` among them. Two data sets of one
        suffix and base are the same if these are equal, versions of software aside.
    fill
        Writes everything else into the folder it is given; must leave alone what is there, since
        it may continue the work of a killed process.
    dataset_id
        Wanted ID; None for a free one.
    overwrite
        Replace a data set of ours that has the same name.

    Raises
    ------
    SparseError
        If the ID is taken, or a data set of the same name has other content.
    """
    base = documents[SELECTION_FILE]["base"]
    check_available(paths, suffix, documents, dataset_id, overwrite)
    while True:
        with FileLock(paths.raw / ".nnsparse.lock"):
            existing = find_existing(paths, suffix, base)
            if existing is not None and not overwrite:
                check_available(paths, suffix, documents, dataset_id, overwrite)
                return Publication(existing, created=False)
            partial = _find_partial(paths, documents, dataset_id) or _begin(
                paths, documents, dataset_id, existing
            )
            lock = FileLock(partial.with_name(partial.name + ".lock"))
            mine = _try_lock(lock)
        if mine:
            break
        logger.info("Another process is writing %s, waiting for it", suffix)
        with lock:
            _remove(lock)
    try:
        folder = paths.raw / f"Dataset{partial.name[-3:]}_{suffix}"
        fill(partial)
        _replace(folder, partial)
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        _remove(lock)
        lock.release()
    return Publication(folder, created=True)


def check_available(
    paths: NnUNetPaths,
    suffix: str,
    documents: Documents,
    dataset_id: int | None,
    overwrite: bool,
) -> Path | None:
    """Existing folder of the same data set, if there is one; nothing is written.

    Raises
    ------
    SparseError
        As :func:`publish`.
    """
    existing = find_existing(paths, suffix, documents[SELECTION_FILE]["base"])
    if existing is None:
        if dataset_id is not None and _find_partial(paths, documents, dataset_id) is None:
            check_id(paths, dataset_id)
        return None
    if dataset_id not in {None, parse_dataset_name(existing.name)[0]}:
        raise SparseError(f"this variant exists already as {existing.name}; leave out --id")
    if not overwrite and (other := _different_files(existing, documents)):
        raise SparseError(
            f"{existing.name} exists with other content ({', '.join(other)}); "
            "--overwrite replaces it"
        )
    return existing


def find_existing(paths: NnUNetPaths, suffix: str, base: str) -> Path | None:
    """Folder of our data set with that suffix and base, whatever its ID."""
    for name in dataset_names(paths.raw):
        file = paths.raw / name / SELECTION_FILE
        if (
            parse_dataset_name(name)[1] == suffix
            and file.exists()
            and Selection.read(file).base == base
        ):
            return file.parent
    return None


def _begin(
    paths: NnUNetPaths, documents: Documents, dataset_id: int | None, existing: Path | None
) -> Path:
    """Reserve an ID and write the JSON files; the ID is that of a data set to be replaced."""
    if existing is None:
        _, partial = reserve_id(paths, dataset_id)
    else:
        partial = paths.raw / f"{PARTIAL_PREFIX}{existing.name[7:10]}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    try:
        for name, content in documents.items():
            write_json(partial / name, content, sort_keys=name == SELECTION_FILE)
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return partial


def _find_partial(paths: NnUNetPaths, documents: Documents, dataset_id: int | None) -> Path | None:
    """Unfinished folder of the same data set, under the wanted ID if there is one."""
    number = "[0-9][0-9][0-9]" if dataset_id is None else f"{dataset_id:03d}"
    for partial in sorted(paths.raw.glob(PARTIAL_PREFIX + number)):
        if not _different_files(partial, documents):
            return partial
    return None


def _different_files(folder: Path, documents: Documents) -> list[str]:
    """Names of the JSON files whose content differs, versions of software aside."""
    different = []
    for name, content in documents.items():
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        wanted = json.loads(canonical_json(content, sort_keys=False))
        if name == SELECTION_FILE:
            wanted.pop("software")
            if isinstance(found, dict):
                found.pop("software", None)
        if found != wanted:
            different.append(name)
    return different


def _try_lock(lock: BaseFileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _remove(lock: BaseFileLock) -> None:
    """Delete the file of a lock that is held; who waits for it then makes and deletes another."""
    Path(lock.lock_file).unlink(missing_ok=True)


def _replace(folder: Path, partial: Path) -> None:
    old = folder.with_name(f".nnsparse_old_{folder.name}")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
