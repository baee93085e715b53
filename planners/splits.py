"""Giving a preprocessed data set the folds of the raw one."""

import shutil
from pathlib import Path

from nnunet_sparse.data.folds import SPLITS_FILE, read_splits
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError


def copy_splits(raw: RawDataset, folder: Path, overwrite: bool) -> None:
    """Give a preprocessed data set the split of the raw one, if that has one.

    Folds that were added to the raw one are added to the copy; folds that only the copy has stay.

    Raises
    ------
    SparseError
        If another split is there and ``overwrite`` is False.
    """
    source, copy = raw.folder / SPLITS_FILE, folder / SPLITS_FILE
    if not source.is_file():
        return
    splits = read_splits(source)
    if copy.is_file():
        before = read_splits(copy)
        if before[: len(splits)] == splits:
            return
        if before != splits[: len(before)] and not overwrite:
            raise SparseError(
                f"{copy} differs from {source}, and trainings may have used it: "
                "--overwrite replaces it"
            )
    with atomic_path(copy) as temporary:
        shutil.copyfile(source, temporary)


def trained_cases(raw: RawDataset) -> tuple[str, ...]:
    """Sorted training cases of any fold; all cases where the raw data set has no split.

    Raises
    ------
    SparseError
        If no fold trains on a case of the data set.
    """
    file = raw.folder / SPLITS_FILE
    if not file.is_file():
        return tuple(sorted(raw.training))
    trained = set[str]().union(*(fold["train"] for fold in read_splits(file)))
    if not trained & raw.training.keys():
        raise SparseError(f"no fold of {file} trains on a case of {raw.name}")
    return tuple(sorted(trained & raw.training.keys()))
