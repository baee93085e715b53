"""The folder of a new data set, under an ID of its own.

It is published as :mod:`nnunet_sparse.system.publication` says. It is built as
``nnUNet_raw/.nnsparse_partial_XXX``, which reserves the ID XXX, under a lock of the name after the
ID; the marker in it tells the name.
"""

import glob
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_sparse.data.dataset_name import (
    FIRST_FREE_ID,
    MAX_ID,
    PARTIAL_PREFIX,
    check_id,
    check_range,
    dataset_names,
    names_with_suffix,
    taken_ids,
)
from nnunet_sparse.dataset_tools.earlier_partials import Belongs, is_earlier, remove_earlier
from nnunet_sparse.system import publication
from nnunet_sparse.system.atomic import as_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.locks import locked
from nnunet_sparse.system.paths import NnUNetPaths

_PARAMETERS = "parameters"
_PARTIALS = f"{PARTIAL_PREFIX}[0-9][0-9][0-9]"


@dataclass(frozen=True)
class DatasetRequest:
    """What a data set is to be.

    Attributes
    ----------
    name
        Its name after the ID.
    parameters
        All that decides its content.
    base
        The data set that it is made from, where several may give data sets of one name.
    """

    name: str
    parameters: Mapping[str, Any]
    base: str | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What an unfinished folder of it has in common with others of other parameters."""
        return {"name": self.name, **({} if self.base is None else {"base": self.base})}

    @property
    def marker(self) -> dict[str, Any]:
        """Content of the marker in an unfinished folder of it."""
        return {**self.identity, _PARAMETERS: dict(self.parameters)}


@contextmanager
def dataset_lock(raw: Path, name: str) -> Iterator[None]:
    """Hold the lock of a data set's name, and set right what killed calls have left under it.

    Parameters
    ----------
    raw
        ``nnUNet_raw``, which exists.
    name
        Name after the ID.
    """
    lock = raw / f".nnsparse_{name}.lock"
    with locked(lock, f"Another process is writing {name}, waiting for it"):
        for target in publication.replaced_targets(raw, _pattern(name)):
            publication.recover(target)
        for full_name in names_with_suffix(raw, name):
            publication.recover(raw / full_name)
        publication.clear(raw, name)
        yield


def recover_datasets(raw: Path, name: str) -> None:
    """Give data sets their name back whose replacement was killed; for those who only look."""
    if publication.replaced_targets(raw, _pattern(name)):
        with dataset_lock(raw, name):
            pass


@contextmanager
def new_dataset(
    paths: NnUNetPaths,
    request: DatasetRequest,
    *,
    dataset_id: int | None,
    replaced: str | None,
    belongs: Belongs,
    commit: Callable[[str], object] = lambda _: None,
) -> Iterator[tuple[Path, str]]:
    """Give a folder to build a data set in, which gets its name when the block ends without error.

    To be entered under the lock of its name (:func:`dataset_lock`).

    Parameters
    ----------
    paths
        nnU-Net's folders.
    request
        What it is to be.
    dataset_id
        Wanted ID; None for a free one.
    replaced
        Full name of the data set to be replaced.
    belongs
        Tells an unfinished folder of the same data set that an earlier version has left.
    commit
        Called with the full name when the folder is complete, before it gets this name. It may be
        called again after a kill.

    Yields
    ------
    folder : Path
        The folder, with what a killed call of the same request has left there.
    full_name : str
        ``DatasetXXX_Name``.

    Raises
    ------
    SparseError
        If the ID is taken.
    """
    wanted = dataset_id if replaced is None else int(replaced[7:10])
    with locked(paths.raw / ".nnsparse.lock"):
        remove_earlier(paths.raw, belongs)
        partial = _unfinished(paths.raw, request, wanted)
        if partial is None:
            partial = _reserve(paths, request, wanted, is_taken=replaced is not None)
    full_name = f"Dataset{partial.name[-3:]}_{request.name}"
    with publication.completing(partial, paths.raw / full_name, lambda: commit(full_name)):
        yield partial, full_name


def remove_unfinished(paths: NnUNetPaths, request: DatasetRequest, belongs: Belongs) -> None:
    """Remove what killed calls have left of a data set that exists as it is wanted.

    Parameters
    ----------
    paths, request, belongs
        As for :func:`new_dataset`; parameters do not count.
    """
    with locked(paths.raw / ".nnsparse.lock"):
        remove_earlier(paths.raw, belongs)
        for partial in sorted(paths.raw.glob(_PARTIALS)):
            if _is_of(partial, request):
                publication.discard(partial)


def check_free(
    paths: NnUNetPaths, request: DatasetRequest, dataset_id: int, belongs: Belongs
) -> None:
    """Refuse an ID that is out of range or taken, unless by an unfinished folder of the same name.

    Parameters
    ----------
    paths, request, dataset_id, belongs
        As for :func:`new_dataset`; parameters do not count.

    Raises
    ------
    SparseError
        Naming who has it.
    """
    check_range(dataset_id)
    partial = paths.raw / f"{PARTIAL_PREFIX}{dataset_id:03d}"
    if not (_is_of(partial, request) or is_earlier(partial, belongs)):
        check_id(paths, dataset_id)


def unfinished_ids(raw: Path, name: str) -> set[int]:
    """IDs of unfinished folders of data sets of that name, which the next call goes on with."""
    request = DatasetRequest(name, {})
    return {int(p.name[-3:]) for p in raw.glob(_PARTIALS) if _is_of(p, request)}


def _pattern(name: str) -> str:
    return f"Dataset[0-9][0-9][0-9]_{glob.escape(name)}"


def _is_of(partial: Path, request: DatasetRequest) -> bool:
    """Whether a folder is an unfinished one of this name, whatever its parameters."""
    found = publication.read_request(partial)
    if not isinstance(found, dict):
        return False
    return {key: value for key, value in found.items() if key != _PARAMETERS} == request.identity


def _unfinished(raw: Path, request: DatasetRequest, wanted: int | None) -> Path | None:
    """Folder that a killed call has left and that can be gone on with; others of it are removed."""
    found = None
    for partial in sorted(raw.glob(_PARTIALS)):
        if not _is_of(partial, request):
            continue
        is_same = publication.read_request(partial) == as_json(request.marker)
        if found is None and is_same and wanted in {None, int(partial.name[-3:])}:
            found = partial
        else:
            publication.discard(partial)
    return found


def _reserve(
    paths: NnUNetPaths, request: DatasetRequest, wanted: int | None, is_taken: bool
) -> Path:
    """Empty folder that reserves an ID: the wanted one, or the first free one from 500, then 1 on.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    request
        What is built there.
    wanted
        The ID; None for a free one.
    is_taken
        Whether it may be that of a data set, which is replaced.
    """
    if wanted is not None and not is_taken:
        check_id(paths, wanted)
    order = [*range(FIRST_FREE_ID, MAX_ID + 1), *range(1, FIRST_FREE_ID)]
    for candidate in order if wanted is None else [wanted]:
        if candidate in taken_ids(paths) and not is_taken:
            continue
        partial = paths.raw / f"{PARTIAL_PREFIX}{candidate:03d}"
        if not publication.begin(partial, request.marker, request.name):
            continue
        owners = [name for name in dataset_names(paths.raw) if int(name[7:10]) == candidate]
        if owners and not is_taken:
            publication.discard(partial)  # another process finished between the two looks
            continue
        return partial
    if wanted is not None:
        raise SparseError(f"ID {wanted} has just been taken by another process")
    raise SparseError("all data set IDs from 1 to 999 are taken; remove data sets to free some")
