"""Which cases belong together, as the time points of one patient do.

Cases of one *group* are never on two sides of a split. A :class:`Grouping` is kept beside the split
that it was used for, so that later calls go on with it, also for cases that were added since.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import read_spreadsheet
from nnunet_sparse.system.spreadsheet_cells import ChangedNames, is_missing
from nnunet_sparse.system.wording import brief, first_of

GROUP_COLUMNS = ("group", "patient", "subject")
"""Names that the second column of a table of groups may have."""

_TABLES = (".csv", ".tsv", ".txt")
_NUM_NAMED = 3


@dataclass(frozen=True)
class Grouping:
    """Groups of cases, and how those of further cases are found.

    Attributes
    ----------
    cases
        Group of each case.
    pattern
        Regular expression that finds the group in a case ID; None if a table gave the groups.
    """

    cases: Mapping[str, str] = field(default_factory=dict)
    pattern: str | None = None

    def covering(self, cases: Iterable[str]) -> "Grouping":
        """The same for these cases, of which some may be new, and the ones that it has.

        Raises
        ------
        SparseError
            If the group of a case is not known.
        """
        found = dict(self.cases)
        for case_id in sorted(set(cases) - set(found)):
            if self.pattern is None:
                raise SparseError(
                    f"the group of case {case_id} is not known: give --group a table that has it"
                )
            found[case_id] = _matched(case_id, self.pattern)
        return Grouping(found, self.pattern)

    def to_json(self) -> dict[str, Any]:
        """What is kept beside a split."""
        return {"pattern": self.pattern, "cases": dict(sorted(self.cases.items()))}

    @classmethod
    def from_json(cls, content: object, file: Path) -> "Grouping | None":
        """Inverse of :meth:`to_json`; None of None.

        Raises
        ------
        SparseError
            If it has another form; naming the file that it was read from.
        """
        if content is None:
            return None
        cases = content.get("cases") if isinstance(content, dict) else None
        pattern = content.get("pattern") if isinstance(content, dict) else None
        if not isinstance(cases, dict) or not all(isinstance(g, str) for g in cases.values()):
            raise SparseError(f'{file}: "groups" must hold "cases", the group of each case')
        if pattern is not None:
            _compiled(pattern, str(file))
        return cls(cases, pattern)


def read_grouping(text: str, cases: Iterable[str]) -> Grouping:
    """Groups of cases from what ``--group`` says.

    Parameters
    ----------
    text
        A regular expression: the group is what it finds in the case ID, its first parentheses
        where it has some. Or the path of a table with the columns ``case`` and ``patient``
        (``group``, ``subject``).
    cases
        Cases that need a group.

    Raises
    ------
    SparseError
        If it is no regular expression, the table cannot be read, or a case has no group.
    """
    file = Path(text)
    if file.suffix.lower() in _TABLES or _is_file(file):
        return Grouping(_read_table(file, sorted(cases)))
    _compiled(text, "--group")
    return Grouping(pattern=text).covering(cases)


def members(cases: Iterable[str], grouping: Grouping | None) -> dict[str, list[str]]:
    """Sorted cases of each group; without groups each case is one of its own."""
    found: dict[str, list[str]] = {}
    known = {} if grouping is None else grouping.covering(cases).cases
    for case_id in sorted(cases):
        found.setdefault(known.get(case_id, case_id), []).append(case_id)
    return found


def take_groups(order: Sequence[str], sizes: Mapping[str, int], num_cases: int) -> list[str]:
    """The first groups that hold a number of cases, or as many as fit without exceeding it.

    Where none fits, the smallest one is taken. Of groups of one case it is the first ones.

    Parameters
    ----------
    order
        Groups.
    sizes
        Number of cases of each.
    num_cases
        Wanted number.
    """
    taken: list[str] = []
    left = num_cases
    for group in order:
        if sizes[group] <= left:
            taken.append(group)
            left -= sizes[group]
    if not taken and num_cases > 0 and order:
        taken = [min(order, key=lambda group: sizes[group])]
    return taken


def check_apart(
    parts: Mapping[str, Iterable[str]], grouping: Grouping | None, where: object
) -> None:
    """Refuse a split with a group on two sides.

    Parameters
    ----------
    parts
        Cases of each part, by its name.
    grouping
        The groups; None if each case stands for itself.
    where
        What holds the split, for the message.

    Raises
    ------
    SparseError
        Naming the group, the parts and a case in each.
    """
    if grouping is None:
        return
    seen: dict[str, tuple[str, str]] = {}
    for part, cases in parts.items():
        for group, found in members(cases, grouping).items():
            other, case_id = seen.setdefault(group, (part, found[0]))
            if other != part:
                raise SparseError(
                    f"{where}: cases of the group {brief(group)} are in two parts, {case_id} in "
                    f"{other} and {found[0]} in {part}"
                )


def grouping_text(cases: Sequence[str], grouping: Grouping | None) -> str:
    """What a command says of how cases were divided."""
    if grouping is None:
        return (
            "by case: several volumes of one patient may lie in different parts "
            "(--group REGEX|CSV keeps them together)"
        )
    found = members(cases, grouping)
    return f"by group: {len(cases)} cases of {len(found)} groups, each of them in one part"


def _matched(case_id: str, pattern: str) -> str:
    found = re.search(pattern, case_id)
    group = None if found is None else found.group(1 if found.re.groups else 0)
    if not group:
        raise SparseError(f"--group {pattern!r} finds no group in the case {case_id}")
    return group


def _compiled(pattern: object, where: str) -> None:
    try:
        re.compile(str(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise SparseError(f"{where}: {pattern!r} is no regular expression: {error}") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # what no file can be called
        return False


def _read_table(file: Path, cases: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    rows = _table_rows(file)
    names = ChangedNames(cases, {text for _, text, _ in rows})
    for line, text, group in rows:
        similar = names.meant(text)  # none: the table has other cases, too
        if len(similar) > 1:
            raise SparseError(
                f"{file}, line {line}: {brief(text)} may be case {' or '.join(similar)}; has a "
                "spreadsheet changed it? Columns of the format text stay"
            )
        case_id = similar[0] if similar else text
        if found.setdefault(case_id, group) != group:
            raise SparseError(f"{file}, line {line}: case {case_id} is in two groups")
        if is_missing(group):
            raise SparseError(f"{file}, line {line}: case {case_id} has no group")
    _check_distinct({found[case_id] for case_id in cases if case_id in found}, file)
    if missing := [case_id for case_id in cases if case_id not in found]:
        raise SparseError(
            f"{file} gives no group for {len(missing)} cases: {first_of(missing, _NUM_NAMED)}"
        )
    return {case_id: found[case_id] for case_id in cases}


def _check_distinct(groups: set[str], file: Path) -> None:
    """Refuse groups that may be one, written in two ways."""
    names = ChangedNames(groups)
    for group in sorted(groups):
        if len(similar := sorted(names.alike(group))) > 1:
            raise SparseError(
                f"{file}: {' and '.join(map(repr, similar[:2]))} may be one group: write it in "
                "one way, or call different groups differently"
            )


def _table_rows(file: Path) -> list[tuple[int, str, str]]:
    """Line, case and group of each row of a table."""
    table = read_spreadsheet(file, columns=("case", *GROUP_COLUMNS))
    columns = [name for name in GROUP_COLUMNS if name in table.names]
    if "case" not in table.names or len(columns) != 1:
        raise SparseError(
            f"{file} must be a table with the columns case and one of {', '.join(GROUP_COLUMNS)}"
        )
    return [
        (line, row["case"].strip(), row[columns[0]].strip())
        for line, row in table.rows
        if row["case"].strip()
    ]
