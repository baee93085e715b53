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

from filelock import BaseFileLock

from nnunet_sparse.data.dataset_name import (
    PARTIAL_PREFIX,
    check_id,
    check_range,
    names_with_suffix,
    parse_dataset_name,
    reserve_id,
)
from nnunet_sparse.data.folds import SPLITS_FILE, read_folds
from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.dataset_tools.sparse_folder import DATASET_FILE, SOURCES_FILE
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.atomic import canonical_json, replace_folder, write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.locks import locked, try_lock, unlock
from nnunet_sparse.system.paths import NnUNetPaths

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
    commit: Callable[[], object] = lambda: None,
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
        suffix and base are the same if these are equal, versions of software and the number of
        equal folds aside; folds that an existing one lacks are added to it.
    fill
        Writes everything else into the folder it is given; must leave alone what is there, since
        it may continue the work of a killed process.
    commit
        Called when the folder is complete, just before it gets its name, by one process at a
        time; if it fails the folder is discarded.
    dataset_id
        Wanted ID; None for a free one.
    overwrite
        Replace a data set of ours that has the same name.

    Raises
    ------
    SparseError
        If the ID is taken, or a data set of the same name has other content.
    """
    check_available(paths, suffix, documents, dataset_id, overwrite)
    global_lock = paths.raw / ".nnsparse.lock"
    while True:
        with locked(global_lock):
            existing = check_available(paths, suffix, documents, dataset_id, overwrite)
            if existing is not None and not overwrite:
                _add_folds(existing, documents)
                return Publication(existing, created=False)
            partial, lock = _claim(paths, suffix, documents, dataset_id, existing)
        if lock is not None:
            break
        logger.info("Another process is writing %s, waiting for it", suffix)
        with locked(_lock_of(partial)):
            pass
    try:
        fill(partial)
        folder = paths.raw / f"Dataset{partial.name[-3:]}_{suffix}"
        with locked(global_lock):
            commit()
            replace_folder(folder, partial)
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        unlock(lock)
    return Publication(folder, created=True)


def _claim(
    paths: NnUNetPaths,
    suffix: str,
    documents: Documents,
    dataset_id: int | None,
    existing: Path | None,
) -> tuple[Path, BaseFileLock | None]:
    """Unfinished folder with the JSON files in it, and its lock; no lock if another holds it.

    What a killed call left is taken over, and emptied if it was to have other content.
    """
    partial = _find_partial(paths, suffix, documents)
    lock = None if partial is None else try_lock(_lock_of(partial))
    if partial is not None and lock is None:
        return partial, None
    if partial is not None and lock is not None and not _has_id(partial, dataset_id):
        shutil.rmtree(partial)
        unlock(lock)
        partial = None
    if partial is None:
        if existing is None:
            partial = reserve_id(paths, dataset_id)[1]
        else:
            partial = paths.raw / f"{PARTIAL_PREFIX}{existing.name[7:10]}"
        lock = try_lock(_lock_of(partial))
    if lock is not None:
        try:
            _begin(partial, documents)
        except Exception:
            shutil.rmtree(partial, ignore_errors=True)
            unlock(lock)
            raise
    return partial, lock


def _lock_of(partial: Path) -> Path:
    return partial.with_name(partial.name + ".lock")


def _has_id(partial: Path, dataset_id: int | None) -> bool:
    return dataset_id is None or partial.name == f"{PARTIAL_PREFIX}{dataset_id:03d}"


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
    existing = find_existing(paths, suffix, documents[SELECTION_FILE]["base"], overwrite)
    if existing is None:
        partial = _find_partial(paths, suffix, documents)
        if dataset_id is not None and (partial is None or not _has_id(partial, dataset_id)):
            check_id(paths, dataset_id)
        return None
    check_range(dataset_id)
    if dataset_id not in {None, parse_dataset_name(existing.name)[0]}:
        raise SparseError(f"this variant exists already as {existing.name}; leave out --id")
    labels = [case["label"] for case in documents[DATASET_FILE]["dataset"].values()]
    other = _different_files(existing, documents)
    other += [label for label in labels if not (existing / label).exists()][:1]
    if other == [SOURCES_FILE] and not overwrite:
        raise SparseError(
            f"the labels that {existing.name} was made from have changed since; --overwrite makes "
            "it from those that are there now"
        )
    if other and not overwrite:
        raise SparseError(
            f"{existing.name} exists with other content ({', '.join(other)}); "
            "--overwrite replaces it"
        )
    return existing


def check_id_is_free(
    paths: NnUNetPaths, suffix: str, base: str, dataset_id: int | None, overwrite: bool
) -> None:
    """Refuse an ID that another data set has, before anything is made.

    Raises
    ------
    SparseError
        If it is out of range or taken.
    """
    check_range(dataset_id)
    if dataset_id is not None and find_existing(paths, suffix, base, overwrite) is None:
        partial = paths.raw / f"{PARTIAL_PREFIX}{dataset_id:03d}"
        if not partial.exists():  # which may be a killed call's that is gone on with
            check_id(paths, dataset_id)


def find_existing(paths: NnUNetPaths, suffix: str, base: str, overwrite: bool) -> Path | None:
    """Folder of our data set with that suffix and base, whatever its ID.

    Raises
    ------
    SparseError
        If its ``selection.json`` is damaged, unless it is to be replaced.
    """
    for name in names_with_suffix(paths.raw, suffix):
        file = paths.raw / name / SELECTION_FILE
        if not file.exists():
            continue
        try:
            same = Selection.read(file).base == base
        except SparseError as error:
            if not overwrite:
                raise SparseError(f"{error}; --overwrite replaces the data set") from error
            same = True
        if same:
            return file.parent
    return None


def _begin(partial: Path, documents: Documents) -> None:
    """Write the JSON files into the folder, which is locked; one of other content is emptied."""
    if not _different_files(partial, documents):
        write_json(partial / SPLITS_FILE, documents[SPLITS_FILE])
        return
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name, content in documents.items():
        write_json(partial / name, content, sort_keys=name == SELECTION_FILE)


def _find_partial(paths: NnUNetPaths, suffix: str, documents: Documents) -> Path | None:
    """Unfinished folder of a data set of the same name and base."""
    base = documents[SELECTION_FILE]["base"]
    for partial in sorted(paths.raw.glob(f"{PARTIAL_PREFIX}[0-9][0-9][0-9]")):
        try:
            selection = Selection.read(partial / SELECTION_FILE)
            name = selection.variant.dataset_suffix(parse_dataset_name(base)[1])
        except (SparseError, TypeError):  # of another version
            continue
        if selection.base == base and name == suffix:
            return partial
    return None


def _add_folds(folder: Path, documents: Documents) -> None:
    """Give a data set, whose folds are all equal, as many as are wanted; it loses none."""
    file, wanted = folder / SPLITS_FILE, documents[SPLITS_FILE]
    if len(read_folds(file)) < len(wanted):
        write_json(file, wanted)


def _different_folds(folds: Any) -> Any:
    """Folds without those that are equal to the one before."""
    if not isinstance(folds, list):
        return folds
    return [fold for k, fold in enumerate(folds) if k == 0 or fold != folds[k - 1]]


def _different_files(folder: Path, documents: Documents) -> list[str]:
    """Names of the JSON files whose content differs, versions of software aside.

    Data sets with the same fold in different numbers, that is, of repeats, do not differ.
    """
    different = []
    for name, content in documents.items():
        if name == SOURCES_FILE and not (folder / name).exists():
            continue  # of an earlier version
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        wanted = json.loads(canonical_json(content, sort_keys=False))
        if name == SELECTION_FILE:
            wanted.pop("software")
            if isinstance(found, dict):
                found.pop("software", None)
        if name == SPLITS_FILE and found is not None:
            found, wanted = _different_folds(found), _different_folds(wanted)
        if found != wanted:
            different.append(name)
    return different
