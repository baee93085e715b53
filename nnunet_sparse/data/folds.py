"""nnU-Net's split file: which cases each fold trains on and validates.

A data set of ours has one of two kinds of folds: equal ones, whose number is the repeat of a
training, or those of a *cross-validation*, in which each case is validated in one fold and trained
on in all others.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_sparse.data.groups import Grouping, members
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import is_file_name
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.randomness import generator, shuffled

Fold = dict[str, list[str]]
"""Cases of the parts ``train`` and ``val``."""

SPLITS_FILE = "splits_final.json"
DEFAULT_REPEATS = 3
_PARTS = ("train", "val")


def read_splits(file: Path) -> list[dict[str, set[str]]]:
    """Training and validation cases of each fold.

    Raises
    ------
    SparseError
        If the file does not have nnU-Net's form.
    """
    return [{part: set(split[part]) for part in _PARTS} for split in read_folds(file)]


def read_folds(file: Path) -> list[dict[str, Any]]:
    """Content of the file, once it has been checked.

    Raises
    ------
    SparseError
        If the file does not have nnU-Net's form.
    """
    splits = load_json(file)
    if not isinstance(splits, list) or not splits or not all(map(_is_fold, splits)):
        raise SparseError(
            f'{file} must be a list of {{"train": [cases], "val": [cases]}}, one for each fold'
        )
    return splits


def equal_folds(train: Iterable[str], val: Iterable[str], repeats: int) -> list[Fold]:
    """Folds of one split, for repeated trainings."""
    return [{"train": list(train), "val": list(val)} for _ in range(repeats)]


def cross_validation(
    cases: Iterable[str],
    num_folds: int,
    grouping: Grouping | None,
    seed: int,
    before: Mapping[str, int] | None = None,
) -> list[Fold]:
    """Divide cases into folds of about equal size, each of which is validated in one of them.

    Parameters
    ----------
    cases
        Cases with annotation.
    num_folds
        Number of folds.
    grouping
        Which cases belong together; None if each stands for itself.
    seed
        Of the random order in which groups of one size are shared out, larger ones first.
    before
        Fold that validates a case, as it was chosen earlier; its group stays there.

    Returns
    -------
    list of Fold

    Raises
    ------
    SparseError
        If a fold would have no case to validate or to train on, or cases of one group were
        validated in different folds before.
    """
    if num_folds < 2:
        raise SparseError(f"a cross-validation needs at least 2 folds, got {num_folds}")
    found = members(cases, grouping)
    val: list[list[str]] = [[] for _ in range(num_folds)]
    fresh = []
    for group, of_group in found.items():
        numbers = {before[c] for c in of_group if c in before} if before else set()
        if len(numbers) > 1:
            raise SparseError(
                f"cases of the group {group!r} were validated in different folds before: "
                f"{', '.join(of_group)}"
            )
        if numbers:
            val[numbers.pop()] += of_group
        else:
            fresh.append(group)
    order = shuffled(fresh, generator(seed, "folds"))
    for group in sorted(order, key=lambda group: -len(found[group])):
        min(val, key=len).extend(found[group])
    if empty := sum(not of_fold for of_fold in val):
        what = "volumes" if grouping is None else "groups of volumes"
        raise SparseError(
            f"{num_folds} folds need annotation in at least {num_folds} {what}, there are "
            f"{len(found)}: {empty} of the folds would have no annotated volume to validate"
        )
    everything = sorted(case_id for of_fold in val for case_id in of_fold)
    return [
        {"train": [c for c in everything if c not in set(of_fold)], "val": sorted(of_fold)}
        for of_fold in val
    ]


def is_cross_validation(folds: Sequence[Mapping[str, Iterable[str]]]) -> bool:
    """Whether folds differ, and each case is validated once and trained on in all other folds."""
    val = [case_id for fold in folds for case_id in fold["val"]]
    everything = set(val)
    return (
        len(folds) > 1
        and len(val) == len(everything)
        and all(set(fold["train"]) == everything - set(fold["val"]) for fold in folds)
    )


def folds_text(folds: Sequence[Mapping[str, Iterable[str]]]) -> str:
    """What a command says of the folds of a data set that it has made."""
    last = len(folds) - 1
    if not is_cross_validation(folds):
        return (
            f"{len(folds)} equal ones, repeats of one split: nnUNetv2_train ... 0 to {last}, "
            "predict with one (--folds 5 makes a cross-validation)"
        )
    count = sum(len(list(fold["val"])) for fold in folds)
    return (
        f"{len(folds)} of a cross-validation of {count} annotated volumes, scored on annotated "
        f"slices: nnUNetv2_train ... 0 to {last}, predict with all"
    )


def _is_fold(split: Any) -> bool:
    return isinstance(split, dict) and all(
        isinstance(split.get(part), list) and all(map(is_file_name, split[part])) for part in _PARTS
    )
