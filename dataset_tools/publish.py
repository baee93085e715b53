"""Making a data set that is told from others by its JSON files, unless it exists."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_sparse.data.dataset_name import (
    PARTIAL_PREFIX,
    check_id,
    check_range,
    names_with_suffix,
    parse_dataset_name,
)
from nnunet_sparse.data.folds import SPLITS_FILE, read_folds
from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.dataset_tools.earlier_partials import holds_only
from nnunet_sparse.dataset_tools.new_dataset import (
    DatasetRequest,
    check_free,
    dataset_lock,
    new_dataset,
    recover_datasets,
    remove_unfinished,
)
from nnunet_sparse.dataset_tools.sparse_folder import DATASET_FILE, SOURCES_FILE
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.atomic import as_json, write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.software import without_software

Documents = dict[str, Any]


@dataclass(frozen=True)
class PublishedDataset:
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
) -> PublishedDataset:
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
        Called when the folder is complete, just before it gets its name. It may be called again
        after a kill.
    dataset_id
        Wanted ID; None for a free one.
    overwrite
        Replace a data set of ours that has the same name.

    Raises
    ------
    SparseError
        If the ID is taken, or a data set of the same name has other content.
    """
    recover_datasets(paths.raw, suffix)
    check_available(paths, suffix, documents, dataset_id, overwrite)
    with dataset_lock(paths.raw, suffix):
        existing = check_available(paths, suffix, documents, dataset_id, overwrite)
        request = _request(suffix, documents)
        belongs = partial(_is_earlier, suffix=suffix, documents=documents)
        if existing is not None and not overwrite:
            remove_unfinished(paths, request, belongs)
            _add_folds(existing, documents)
            return PublishedDataset(existing, created=False)
        with new_dataset(
            paths,
            request,
            dataset_id=dataset_id,
            replaced=None if existing is None else existing.name,
            belongs=belongs,
            commit=lambda _: commit(),
        ) as (folder, full_name):
            fill(folder)
            for name, content in documents.items():
                write_json(folder / name, content, sort_keys=name == SELECTION_FILE)
    return PublishedDataset(paths.raw / full_name, created=True)


def _request(suffix: str, documents: Documents) -> DatasetRequest:
    """What decides the content of a data set: versions of software and numbers of folds do not."""
    decisive = {
        **documents,
        SELECTION_FILE: without_software(documents[SELECTION_FILE]),
        SPLITS_FILE: _different_folds(documents[SPLITS_FILE]),
    }
    return DatasetRequest(suffix, decisive, documents[SELECTION_FILE]["base"])


def _is_earlier(folder: Path, suffix: str, documents: Documents) -> bool:
    """Whether an earlier version was building this data set in a folder."""
    base = documents[SELECTION_FILE]["base"]
    try:
        selection = Selection.read(folder / SELECTION_FILE)
        name = selection.dataset_suffix(parse_dataset_name(base)[1])
    except (SparseError, TypeError):  # not begun, or of another version
        return holds_only(folder, documents)
    return selection.base == base and name == suffix


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
        if dataset_id is not None:
            belongs = partial(_is_earlier, suffix=suffix, documents=documents)
            check_free(paths, _request(suffix, documents), dataset_id, belongs)
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
        unfinished = paths.raw / f"{PARTIAL_PREFIX}{dataset_id:03d}"
        if not unfinished.exists():  # which may be a killed call's that is gone on with
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
        found, wanted = read_json(folder / name), as_json(content)
        if name == SELECTION_FILE:
            found, wanted = without_software(found), without_software(wanted)
        if name == SPLITS_FILE and found is not None:
            found, wanted = _different_folds(found), _different_folds(wanted)
        if found != wanted:
            different.append(name)
    return different
