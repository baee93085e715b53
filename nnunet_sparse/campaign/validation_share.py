"""Choosing the annotated volumes of a campaign that networks are validated on.

What was chosen is kept in the campaign's ``split.json``, so that a volume that one import trains on
is not validated on by the next: the parts of imports with equal folds, the number of the fold that
validates a volume for each number of folds, and the groups of volumes that belong together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nnunet_sparse.data.folds import Fold, cross_validation
from nnunet_sparse.data.groups import (
    Grouping,
    check_apart,
    members,
    read_grouping,
    take_groups,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.json_form import COUNT, FILE_NAME, Keys, ListOf, NamesTo, check_form
from nnunet_sparse.system.randomness import generator, shuffled
from nnunet_sparse.system.wording import brief

SPLIT_FILE = "split.json"
_PARTS = ("train", "val")


def _check_number(text: str, what: str) -> None:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise SparseError(f"{what} must be a number of folds, got {brief(text)}")


_FORM = Keys(
    dict.fromkeys(_PARTS, ListOf(FILE_NAME)),
    {"folds": NamesTo(NamesTo(COUNT, check_file_name), _check_number)},
)


@dataclass(frozen=True)
class KeptSplit:
    """Content of ``split.json``.

    Attributes
    ----------
    parts
        Cases that equal folds have trained on and validated on.
    folds
        For each number of folds the fold that validates a case.
    groups
        Which volumes belong together; None if each stands for itself.
    """

    parts: Mapping[str, Sequence[str]] = field(default_factory=lambda: {p: [] for p in _PARTS})
    folds: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    groups: Grouping | None = None

    @classmethod
    def read(cls, folder: Path) -> "KeptSplit":
        """What earlier imports have kept; nothing before the first one.

        Raises
        ------
        SparseError
            If the file is damaged.
        """
        file = folder / SPLIT_FILE
        try:
            content = load_json(file)
        except FileNotFoundError:
            return cls()
        check_form(content, _FORM, f"{file} is damaged")
        parts = {part: content[part] for part in _PARTS}
        folds = {int(number): of_case for number, of_case in content.get("folds", {}).items()}
        for number, of_case in folds.items():
            if any(not 0 <= fold < number for fold in of_case.values()):
                raise SparseError(f"{file} is damaged: it has {number} folds, numbered from 0")
        return cls(parts, folds, Grouping.from_json(content.get("groups"), file))

    def to_json(self) -> dict[str, Any]:
        """Content of the file; what was never asked for is left out."""
        content: dict[str, Any] = {part: sorted(self.parts[part]) for part in _PARTS}
        if self.folds:
            content["folds"] = {str(n): dict(of_case) for n, of_case in self.folds.items()}
        return content if self.groups is None else content | {"groups": self.groups.to_json()}

    def grouped(self, text: str | None, cases: Sequence[str], file: Path) -> "KeptSplit":
        """The same with the groups that ``--group`` names, or that it has, for further cases.

        Raises
        ------
        SparseError
            If a case has no group, or cases of one group are on both sides of an earlier import.
        """
        known = [c for part in _PARTS for c in self.parts[part]]
        known += [c for of_case in self.folds.values() for c in of_case]
        everything = sorted({*cases, *known})
        if text is not None:
            groups: Grouping | None = read_grouping(text, everything)
        else:
            groups = None if self.groups is None else self.groups.covering(everything)
        check_apart(self.parts, groups, f"{file}, which keeps what earlier imports have chosen")
        return replace(self, groups=groups)

    def with_equal_folds(self, parts: Mapping[str, Sequence[str]]) -> "KeptSplit":
        """The same after an import with these parts."""
        both = {part: sorted({*self.parts[part], *parts[part]}) for part in _PARTS}
        return replace(self, parts=both)

    def with_cross_validation(self, folds: Sequence[Fold]) -> "KeptSplit":
        """The same after an import with these folds."""
        numbers = {case_id: k for k, fold in enumerate(folds) for case_id in fold["val"]}
        before = self.folds.get(len(folds), {})
        return replace(self, folds={**self.folds, len(folds): {**before, **numbers}})


def fold_volumes(
    annotated: Sequence[str], num_folds: int, seed: int, before: KeptSplit
) -> list[Fold]:
    """Divide the annotated volumes into the folds of a cross-validation.

    Those of earlier imports with as many folds stay in theirs.

    Parameters
    ----------
    annotated
        Case IDs.
    num_folds
        Number of folds.
    seed
        Seed of the order in which volumes are shared out.
    before
        What earlier imports have kept, with the groups.

    Raises
    ------
    SparseError
        As :func:`nnunet_sparse.data.folds.cross_validation`.
    """
    numbers = before.folds.get(num_folds, {})
    # of a group whose other volumes were there before
    kept = members([c for c in numbers if c not in annotated], before.groups)
    of_group = {group: numbers[cases[0]] for group, cases in kept.items()}
    known = dict(numbers)
    for group, cases in members(annotated, before.groups).items():
        if group in of_group and not any(c in numbers for c in cases):
            known[cases[0]] = of_group[group]
    return cross_validation(annotated, num_folds, before.groups, seed, known)


def split_volumes(
    annotated: Sequence[str],
    share: float,
    seed: int,
    before: Mapping[str, Sequence[str]],
    groups: Grouping | None = None,
) -> dict[str, list[str]]:
    """Divide the annotated volumes into training and validation; those of earlier imports stay.

    Parameters
    ----------
    annotated
        Case IDs.
    share
        Validation volumes: a number, or a share below 1 of the annotated ones.
    seed
        Seed of the random order in which volumes become validation volumes.
    before
        Training and validation volumes of earlier imports.
    groups
        Which volumes belong together; None if each stands for itself.

    Returns
    -------
    dict of str to list of str
        ``train`` and ``val``, sorted.

    Raises
    ------
    SparseError
        If the share is no number of volumes, or no volume would be left to train on.
    """
    if len(annotated) < 2:
        raise SparseError(
            f"{len(annotated)} annotated volume: nnU-Net needs at least 2, one to train on and one "
            "to validate on"
        )
    wanted = num_validation(share, len(annotated))
    found = members(annotated, groups)
    of_part = {part: set(members(before[part], groups)) for part in _PARTS}
    val = [c for group, cases in found.items() if group in of_part["val"] for c in cases]
    fresh = [group for group in found if group not in of_part["val"] | of_part["train"]]
    order = shuffled(fresh, generator(seed, "validation"))
    sizes = {group: len(found[group]) for group in order}
    taken = take_groups(order, sizes, wanted - len(val))
    # more than are wanted only where there would be none
    if not val or sum(sizes[group] for group in taken) <= wanted - len(val):
        val += [case_id for group in taken for case_id in found[group]]
    train = sorted(set(annotated) - set(val))
    if not train:
        together = "" if groups is None else f" in {len(found)} groups"
        raise SparseError(
            f"no volume is left to train on: {len(annotated)} are annotated{together}, {len(val)} "
            "are for validation"
        )
    if not val:
        raise SparseError(
            "no volume is left to validate on: all that are annotated have been trained on by an "
            "earlier import; annotate another one"
        )
    return {"train": train, "val": sorted(val)}


def num_validation(share: float, total: int) -> int:
    """Number of validation volumes that a share or number asks for.

    Raises
    ------
    SparseError
        If it is neither.
    """
    if 0 < share < 1:
        return max(1, math.floor(share * total + 0.5))
    if math.isfinite(share) and share >= 1 and share == int(share):
        return int(share)
    raise SparseError(f"val must be a number of volumes or a share below 1, got {share:g}")
