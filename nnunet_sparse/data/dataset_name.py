"""Names and IDs of nnU-Net data sets.

A data set of nnU-Net is a folder ``DatasetXXX_Name``; XXX is its ID, 001 to 999, unique over raw,
preprocessed and result folders. A new data set is built in ``nnUNet_raw/.nnsparse_partial_XXX``,
which reserves the ID, and renamed when it is complete.
"""

import re
from pathlib import Path

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.wording import brief

MAX_ID = 999
FIRST_FREE_ID = 500
PARTIAL_PREFIX = ".nnsparse_partial_"
_NAME = re.compile(r"Dataset(\d{3})_(.+)")
_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def parse_dataset_name(name: str) -> tuple[int, str]:
    """Split ``Dataset004_Hippocampus`` into ``(4, "Hippocampus")``.

    Raises
    ------
    SparseError
        If the name does not have nnU-Net's form.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise SparseError(f"{name!r} is not a data set name of nnU-Net (Dataset004_Hippocampus)")
    return int(match[1]), match[2]


def check_suffix(name: str) -> None:
    """Refuse a name, without ``DatasetXXX_``, that is no good name of a folder.

    Raises
    ------
    SparseError
        If it holds anything but letters, digits and ``_ . + -``, or begins with ``DatasetXXX_``.
    """
    if not _SUFFIX.fullmatch(name) or re.match(r"Dataset\d{3}_", name):
        raise SparseError(
            f"name must be letters, digits, _ . + or -, without DatasetXXX_, got {brief(name)}"
        )
    check_file_name(name, "name")


def dataset_names(folder: Path) -> list[str]:
    """Sorted names of the data sets in one of nnU-Net's folders; none if it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if _NAME.fullmatch(p.name) and p.is_dir())


def names_with_suffix(folder: Path, suffix: str) -> list[str]:
    """Sorted names of the data sets called ``DatasetXXX_SUFFIX``, whatever their ID."""
    return [name for name in dataset_names(folder) if parse_dataset_name(name)[1] == suffix]


def find_dataset(paths: NnUNetPaths, name_or_id: str) -> str:
    """Full name of the raw data set that a user means by ``4``, ``004`` or its name.

    Raises
    ------
    SparseError
        If there is none, or if several share the ID.
    """
    available = dataset_names(paths.raw)
    if name_or_id.isascii() and name_or_id.isdigit():
        found = [name for name in available if int(name[7:10]) == int(name_or_id)]
    else:
        found = [name for name in available if name == name_or_id]
    if not found:
        known = ", ".join(available[:10]) + (", ..." if len(available) > 10 else "") or "none"
        raise SparseError(f"no data set {name_or_id!r} in {paths.raw} (there: {known})")
    if len(found) > 1:
        raise SparseError(f"ID {name_or_id} is taken by several data sets: {', '.join(found)}")
    return found[0]


def find_named(raw: Path, suffix: str, dataset_id: int | None = None) -> str | None:
    """Full name of the data set that is called so, and has this ID if one is wanted.

    Raises
    ------
    SparseError
        If there are several.
    """
    found = names_with_suffix(raw, suffix)
    if dataset_id is not None:
        found = [full for full in found if int(full[7:10]) == dataset_id]
    if len(found) > 1:
        raise SparseError(f"several data sets are called {suffix}: {', '.join(found)}; give an ID")
    return found[0] if found else None


def taken_ids(paths: NnUNetPaths) -> set[int]:
    """IDs of all data sets, finished or being built."""
    folders = (paths.raw, paths.preprocessed, paths.results)
    ids = {int(name[7:10]) for folder in folders for name in dataset_names(folder)}
    if paths.raw.is_dir():
        partial = (p.name.removeprefix(PARTIAL_PREFIX) for p in paths.raw.iterdir())
        ids |= {int(number) for number in partial if number.isdigit()}
    return ids


def check_id(paths: NnUNetPaths, dataset_id: int) -> None:
    """Refuse an ID that is out of range or taken."""
    check_range(dataset_id)
    if dataset_id in taken_ids(paths):
        folders = (paths.raw, paths.preprocessed, paths.results)
        owners = {n for f in folders for n in dataset_names(f) if int(n[7:10]) == dataset_id}
        partial = f"{paths.raw / PARTIAL_PREFIX}{dataset_id:03d}"
        unfinished = f"an unfinished data set ({partial}, to be deleted if nobody writes it)"
        owner = ", ".join(sorted(owners)) or unfinished
        raise SparseError(f"ID {dataset_id} is taken by {owner}; leave it out to get a free one")


def check_range(dataset_id: int | None) -> None:
    """Refuse an ID that nnU-Net does not allow."""
    if dataset_id is not None and not 1 <= dataset_id <= MAX_ID:
        raise SparseError(f"a data set ID lies between 1 and {MAX_ID}, got {dataset_id}")
