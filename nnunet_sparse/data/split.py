"""The split of a base data set into training, validation and test cases.

It is made once, kept in ``nnUNet_preprocessed/BASE/nnsparse_split.json``, and never changes
afterwards, so that everything that is ever trained on the base is scored on the same test cases.
Groups of cases that must not be on two sides (:mod:`nnunet_sparse.data.groups`) are kept with it.
"""

import contextlib
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunet_sparse.data.groups import (
    Grouping,
    check_apart,
    members,
    read_grouping,
    take_groups,
)
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.atomic import canonical_json, write_once, write_text
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.json_form import Keys, Value, check_form
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.randomness import generator, shuffled

logger = logging.getLogger(__name__)

SPLIT_FILE = "nnsparse_split.json"
DEFAULT_VAL = 0.1
DEFAULT_TEST = 0.2
_VERSION = 1
_PARTS = ("train", "val", "test")
_SEED = Value(lambda seed: type(seed) is int and seed >= 0, "a whole number from 0 on")


@dataclass(frozen=True)
class SplitRequest:
    """What the user asked for; None where nothing was said.

    Attributes
    ----------
    val, test
        Number of cases (a whole number from 0 on) or share of the cases that can be split (between
        0 and 1). The test cases are the base's own (``imagesTs`` with ``labelsTs``) where it has
        them; then ``test`` cannot be asked for.
    file
        JSON file with the lists ``train``, ``val`` and ``test``, and optionally ``unused``.
    seed
        Seed of the random split.
    group
        Which cases belong together, as :func:`nnunet_sparse.data.groups.read_grouping` takes it.
    """

    val: float | None = None
    test: float | None = None
    file: Path | None = None
    seed: int | None = None
    group: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return self == SplitRequest()


@dataclass(frozen=True)
class Split:
    """A split.

    Attributes
    ----------
    train, val, test
        Sorted case IDs of the three parts.
    seed
        That made them; 0 for one from a file.
    groups
        Which cases belong together; None where each stands for itself.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    seed: int = 0
    groups: Grouping | None = None

    @property
    def cases(self) -> tuple[str, ...]:
        """Cases of all parts."""
        return (*self.train, *self.val, *self.test)

    def to_json(self) -> dict[str, Any]:
        """Content of ``nnsparse_split.json``."""
        content: dict[str, Any] = {"version": _VERSION, "seed": self.seed}
        content |= {part: list(getattr(self, part)) for part in _PARTS}
        return content if self.groups is None else content | {"groups": self.groups.to_json()}

    def check_groups(self, where: object) -> None:
        """Refuse parts that share a group."""
        check_apart({part: getattr(self, part) for part in _PARTS}, self.groups, where)


def find_split(
    dataset: RawDataset, paths: NnUNetPaths, request: SplitRequest
) -> tuple[Split, bool]:
    """Split of a base: the kept one, or a new one as requested (not yet kept).

    Returns
    -------
    tuple of Split and bool
        The split, and whether it is new, or its groups are.

    Raises
    ------
    SparseError
        If the kept split differs from what is requested, names cases that are gone, or cannot be
        made.
    """
    file = split_file(paths, dataset.name)
    if not file.exists():
        return _requested_split(dataset, request, None), True
    kept = _read_split(file, dataset, allow_unlisted=True)
    if kept.groups is None and request.group is not None:
        grouped = replace(kept, groups=read_grouping(request.group, kept.cases))
        grouped.check_groups(f"{file}, which was made without groups and never changes")
        if request == SplitRequest(group=request.group):
            return grouped, True
    if request == SplitRequest(group=request.group) and kept.groups is not None:
        return _with_same_groups(kept, request.group, file), False
    if not request.is_empty and _requested_split(dataset, request, kept.groups) != kept:
        raise SparseError(
            f"{dataset.name} already has another split in {file} ({len(kept.train)} train, "
            f"{len(kept.val)} val, {len(kept.test)} test, seed {kept.seed}); it never changes, so "
            "that results stay comparable: leave out the split options"
        )
    return kept, False


def keep_split(split: Split, paths: NnUNetPaths, base: str) -> bool:
    """Write the split of a base, unless another process was faster.

    Returns
    -------
    bool
        Whether this call wrote the file.

    Raises
    ------
    SparseError
        If another split has been kept in the meantime.
    """
    file = split_file(paths, base)
    text = canonical_json(split.to_json())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        is_written = write_once(file, text)
    finally:
        with contextlib.suppress(OSError):
            if not file.exists():
                file.parent.rmdir()  # if it is empty
    if not is_written and (found := file.read_text(encoding="utf-8")) != text:
        if found != canonical_json(replace(split, groups=None).to_json()):
            raise SparseError(f"another process has just made another split of {base}")
        write_text(file, text)  # the same with groups
        return True
    return is_written


def split_file(paths: NnUNetPaths, base: str) -> Path:
    """Where the split of a base is kept."""
    return paths.preprocessed / base / SPLIT_FILE


def _with_same_groups(kept: Split, group: str | None, file: Path) -> Split:
    """The split as it is kept, if the same groups are asked for, or none."""
    if group is not None and kept.groups is not None:
        asked = members(kept.cases, read_grouping(group, kept.cases))
        if sorted(asked.values()) != sorted(members(kept.cases, kept.groups).values()):
            raise SparseError(f"{file} was made with other groups; leave out --group")
    return kept


def _requested_split(dataset: RawDataset, request: SplitRequest, groups: Grouping | None) -> Split:
    """The split that is asked for; where nothing is said of groups, with those that are given."""
    if request.file is not None:
        if (request.val, request.test, request.seed) != (None, None, None):
            raise SparseError("a split comes either from a file or from sizes and a seed, not both")
        split = _read_split(request.file, dataset, allow_unlisted=False)
        if request.group is not None:
            groups = read_grouping(request.group, split.cases)
        split = replace(split, groups=groups or split.groups)
        split.check_groups(f"split file {request.file}")
        return split
    return _random_split(dataset, request, groups)


def _random_split(dataset: RawDataset, request: SplitRequest, groups: Grouping | None) -> Split:
    if unlabelled := len([case for case in dataset.training.values() if case.label is None]):
        logger.warning("%d cases of %s have no label and are left out", unlabelled, dataset.name)
    own_test = sorted(case_id for case_id, case in dataset.test.items() if case.label is not None)
    labelled = sorted(case_id for case_id, case in dataset.training.items() if case.label)
    if own_test and request.test is not None:
        raise SparseError(
            f"{dataset.name} has {len(own_test)} test cases of its own (imagesTs with labelsTs), "
            "which are always used; leave out --test"
        )
    if clash := set(own_test) & set(labelled):
        raise SparseError(
            f"{dataset.name}: {min(clash)} is both a training and a test case; rename one"
        )
    seed = request.seed or 0
    if request.group is not None:
        groups = read_grouping(request.group, [*labelled, *own_test])
    of_test = members(own_test, groups)
    found = {g: cases for g, cases in members(labelled, groups).items() if g not in of_test}
    if left_out := len(labelled) - sum(map(len, found.values())):
        logger.warning(
            "%d training cases of %s are left out: test cases are of the same group",
            left_out,
            dataset.name,
        )
    num_cases = len(labelled) - left_out
    num_test = 0 if own_test else _part_size("test", request.test, DEFAULT_TEST, num_cases)
    num_val = _part_size("val", request.val, DEFAULT_VAL, num_cases)
    if num_val == 0:
        raise SparseError("val must be at least 1: nnU-Net cannot train without validation cases")
    sizes = {group: len(cases) for group, cases in found.items()}
    order = shuffled(sorted(found), generator(seed, "split"))
    test_groups = take_groups(order, sizes, num_test)
    order = [group for group in order if group not in test_groups]
    val_groups = take_groups(order, sizes, num_val)
    train_groups = [group for group in order if group not in val_groups]
    if not train_groups or num_test + num_val >= num_cases:
        in_groups = "" if groups is None else f" in {len(found)} groups"
        raise SparseError(
            f"no training case is left: {dataset.name} has {num_cases} labelled cases{in_groups}, "
            f"{num_test} for test, {num_val} for val"
        )
    test = own_test or _cases_of(test_groups, found)
    return Split(
        tuple(_cases_of(train_groups, found)),
        tuple(_cases_of(val_groups, found)),
        tuple(test),
        seed,
        groups,
    )


def _cases_of(groups: Sequence[str], found: dict[str, list[str]]) -> list[str]:
    return sorted(case_id for group in groups for case_id in found[group])


def _part_size(name: str, wanted: float | None, default: float, num_cases: int) -> int:
    """Cases in a part; a share is rounded, and at least one case."""
    value = default if wanted is None else wanted
    if 0 < value < 1:
        return max(1, math.floor(value * num_cases + 0.5))
    if math.isfinite(value) and value >= 0 and value == int(value):
        return int(value)
    raise SparseError(f"{name} must be a number of cases or a share below 1, got {value:g}")


def _read_split(file: Path, dataset: RawDataset, allow_unlisted: bool) -> Split:
    try:
        content = load_json(file)
    except FileNotFoundError as error:
        raise SparseError(f"split file {file} does not exist") from error
    lists = [*_PARTS, "unused"]
    if not isinstance(content, dict) or not all(_is_name_list(content.get(p, [])) for p in lists):
        raise SparseError(f"split file {file} must hold lists of case IDs: train, val and test")
    if missing := [part for part in _PARTS if part not in content]:
        raise SparseError(f"split file {file} lacks the list {missing[0]}")
    check_form(content, Keys({}, {"seed": _SEED}), f"split file {file}")
    _check_members(file, content, dataset, allow_unlisted)
    parts = {part: tuple(sorted(content[part])) for part in _PARTS}
    groups = Grouping.from_json(content.get("groups"), file)
    return Split(**parts, seed=content.get("seed", 0), groups=groups)


def _is_name_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _check_members(
    file: Path, content: dict[str, Any], dataset: RawDataset, allow_unlisted: bool
) -> None:
    unused = content.get("unused", [])
    counts = Counter([*(case for part in _PARTS for case in content[part]), *unused])
    if repeated := sorted(case for case, count in counts.items() if count > 1):
        raise SparseError(f"split file {file} lists {repeated[0]} more than once")
    for part in _PARTS:
        known = dataset.training if part != "test" else dataset.training | dataset.test
        for case_id in content[part]:
            if case_id not in known:
                raise SparseError(f"split file {file}: {dataset.name} has no case {case_id}")
            if known[case_id].label is None:
                raise SparseError(f"split file {file}: {case_id} ({part}) has no label")
    if clash := sorted(set(content["test"]) & set(dataset.training) & set(dataset.test)):
        raise SparseError(
            f"{dataset.name}: {clash[0]} is in imagesTr and in imagesTs; rename one to use it"
        )
    unlisted = sorted(set(dataset.training) - set(counts))
    if unlisted and not allow_unlisted:
        raise SparseError(
            f"split file {file} does not say where {unlisted[0]} belongs ({len(unlisted)} cases "
            'missing); cases to be left out are listed under "unused"'
        )
    for part in ("train", "val"):
        if not content[part]:
            raise SparseError(f"split file {file} leaves no case in {part}")
