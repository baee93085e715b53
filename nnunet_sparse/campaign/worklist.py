"""The worklist: a line for each slice that is asked for, and what people write into it."""

import csv
import io
import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.data.affines import RAS_TO_LPS
from nnunet_sparse.data.geometry import PLANES, Geometry, read_geometry
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.randomness import generator, shuffled
from nnunet_sparse.system.spreadsheet import parse_spreadsheet, read_bytes
from nnunet_sparse.system.spreadsheet_cells import (
    ChangedNames,
    decimal_number,
    is_missing,
    may_be,
    plain_cell,
    safe_cell,
    truth_value,
    whole_number,
)
from nnunet_sparse.system.wording import brief, cut

logger = logging.getLogger(__name__)

WORKLIST_FILE = "worklist.csv"
# written by us; people write into the others, and may add columns
_OURS = ("order", "case", "slice", "number", "position_mm", "plane", "axis", "round", "status")
_THEIRS = ("confirmed_empty", "annotator", "minutes", "note")
# only in campaigns whose prefilled labels hold predictions
_CONFIRMED = "confirmed"

SliceKey = tuple[str, int]
"""Case ID and index of a slice."""


class WorkLine(NamedTuple):
    """What a line of the worklist is about.

    Attributes
    ----------
    round_index
        Round that asks for the slice, from 0.
    case_id
        Case of the slice.
    slice_index
        Its index along the slice axis.
    """

    round_index: int
    case_id: str
    slice_index: int


@dataclass(frozen=True)
class Answers:
    """What people have written into a worklist.

    Attributes
    ----------
    columns
        Texts by column, of the columns that people write into, by case and slice of the line.
    names
        Names of these columns, in order.
    delimiter
        What separates the columns; spreadsheets may have changed it.
    fresh
        Slices by case ID that a command has confirmed and the file does not have yet.
    statuses
        What the column ``status`` says, by case and slice.
    """

    columns: Mapping[SliceKey, Mapping[str, str]] = field(default_factory=dict)
    names: tuple[str, ...] = _THEIRS
    delimiter: str = ","
    fresh: Mapping[str, frozenset[int]] = field(default_factory=dict)
    statuses: Mapping[SliceKey, str] = field(default_factory=dict)

    def confirmed(self, case_id: str) -> frozenset[int]:
        """Slices of a case that were confirmed to show no object."""
        return frozenset(
            i
            for (case, i), texts in self.columns.items()
            if case == case_id and truth_value(texts.get("confirmed_empty", ""))
        )

    def accepted(self, case_id: str) -> frozenset[int]:
        """Slices of a case of which people say that what the label holds is right."""
        return frozenset(
            i
            for (case, i), texts in self.columns.items()
            if case == case_id and truth_value(texts.get(_CONFIRMED, ""))
        )

    def minutes(self, case_id: str) -> float:
        """Time spent on a case, as far as it was written down."""
        return sum(
            decimal_number(text, self.delimiter) or 0 for text in self._texts(case_id, "minutes")
        )

    def num_timed(self, case_id: str) -> int:
        """Slices of a case whose time was written down."""
        return len(self._texts(case_id, "minutes"))

    def annotators(self, case_id: str) -> list[str]:
        """Sorted names of those who worked on a case."""
        return sorted(set(self._texts(case_id, "annotator")))

    def annotator(self, case_id: str, index: int) -> str:
        """Who worked on a slice; empty if nobody has written it."""
        text = self.columns.get((case_id, index), {}).get("annotator", "").strip()
        return "" if is_missing(text) else text

    def _texts(self, case_id: str, column: str) -> list[str]:
        """What is written into a column in the lines of a case; without what is missing."""
        texts = (t.get(column, "").strip() for (c, _), t in self.columns.items() if c == case_id)
        return [text for text in texts if not is_missing(text)]

    def notes(self, case_id: str) -> dict[int, str]:
        """Notes on slices of a case."""
        return {
            i: texts["note"].strip()
            for (case, i), texts in sorted(self.columns.items())
            if case == case_id and not is_missing(texts.get("note", ""))
        }

    def with_confirmed(self, slices: Mapping[str, frozenset[int]]) -> "Answers":
        """The same, with more slices confirmed to show no object."""
        columns = {key: dict(texts) for key, texts in self.columns.items()}
        fresh = dict(self.fresh)
        for case_id, indices in slices.items():
            fresh[case_id] = fresh.get(case_id, frozenset()) | indices
            for i in indices - self.confirmed(case_id):
                columns.setdefault((case_id, i), {})["confirmed_empty"] = "yes"
        return replace(self, columns=columns, fresh=fresh)


def work_order(campaign: Campaign) -> list[WorkLine]:
    """Lines of the worklist in the order of work.

    Volumes of a round come in random order, so that those annotated first are a random sample if
    the work stops early; slices of a volume come one after the other.
    """
    lines = list[WorkLine]()
    for number, asking in enumerate(campaign.rounds):
        order = shuffled(
            sorted(asking.slices), generator(asking.variant.seed, "worklist", str(number))
        )
        lines += [WorkLine(number, case_id, i) for case_id in order for i in asking.slices[case_id]]
    return lines


def read_worklist(campaign: Campaign) -> Answers:
    """What people have written into ``worklist.csv``, which spreadsheets may have saved.

    Where the file is missing, a warning says so.

    Raises
    ------
    SparseError
        If the file is no table, or a line is not one of the campaign's, is there twice,
        or holds something that is not understood.
    """
    file = campaign.folder / WORKLIST_FILE
    if not file.is_file():
        logger.warning("%s is missing: nothing is known of slices without objects", file)
        return Answers()
    return _parse(read_bytes(file), file, campaign)


def write_worklist(
    campaign: Campaign, answers: Answers, states: Mapping[str, SliceStates] | None = None
) -> None:
    """Write ``worklist.csv`` in one step, unless it is as it should be.

    What people have written stays, also what they have saved since the answers were read.

    Parameters
    ----------
    campaign
        The campaign.
    answers
        What a command has confirmed; what people have written where the file is missing.
    states
        What the labels hold, by case ID; None for a campaign on which nobody has worked.

    Raises
    ------
    SparseError
        If the file there is cannot be read, as in :func:`read_worklist`.
    """
    geometries = worklist_geometries(campaign)
    file = campaign.folder / WORKLIST_FILE
    before = read_bytes(file) if file.is_file() else None
    if before is not None:
        answers = _parse(before, file, campaign).with_confirmed(answers.fresh)
    statuses = {
        key: states[key[0]].of_slice(key[1]) if key[0] in states else "missing"
        for key in ((line.case_id, line.slice_index) for line in work_order(campaign))
        if states is not None
    }
    content = _table(campaign, replace(answers, statuses=statuses), geometries)
    if content != before:
        with atomic_path(file) as temporary:
            temporary.write_bytes(content)


def update_worklist(
    campaign: Campaign,
    change: Callable[[Answers], Answers],
    geometries: Mapping[str, Geometry] | None = None,
) -> None:
    """Change what ``worklist.csv`` says of some slices, in one step; all else stays as it is.

    The caller holds the campaign's lock. Where somebody saves the file at the same moment, what
    they have saved is changed.

    Parameters
    ----------
    campaign
        The campaign.
    change
        Takes what the file holds, gives what it is to hold.
    geometries
        Of :func:`worklist_geometries`, where they are known.

    Raises
    ------
    SparseError
        If the file cannot be read, as in :func:`read_worklist`.
    """
    file = campaign.folder / WORKLIST_FILE
    geometries = worklist_geometries(campaign) if geometries is None else geometries
    while True:
        before = read_bytes(file) if file.is_file() else None
        answers = change(Answers() if before is None else _parse(before, file, campaign))
        content = _table(campaign, answers, geometries)
        if content == before:
            return
        with suppress(_SavedMeanwhileError), atomic_path(file) as temporary:
            temporary.write_bytes(content)
            if before is not None and (not file.is_file() or read_bytes(file) != before):
                raise _SavedMeanwhileError
            return


class _SavedMeanwhileError(Exception):
    """Another program has saved the worklist."""


def worklist_geometries(campaign: Campaign) -> dict[str, Geometry]:
    """Geometry of every case with a slice to annotate, by its ID."""
    reader = campaign.images.reader()
    return {c: read_geometry(campaign.image_files(c)[0], reader) for c in campaign.asked_cases}


def _table(campaign: Campaign, answers: Answers, geometries: Mapping[str, Geometry]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=answers.delimiter, lineterminator="\n")
    names = answers.names
    if campaign.has_predictions and _CONFIRMED not in names:
        names = (_CONFIRMED, *names)
    writer.writerow([*_OURS, *map(safe_cell, names)])
    positions = {c: slice_positions(g, campaign.axis) for c, g in geometries.items()}
    for order, line in enumerate(work_order(campaign), 1):
        case_id, i = line.case_id, line.slice_index
        ours = (
            order,
            case_id,
            i,
            i + 1,
            position_text(positions[case_id], i),
            plane_of(geometries[case_id], campaign.axis),
            campaign.axis,
            line.round_index + 1,
            answers.statuses.get((case_id, i), "todo"),
        )
        texts = answers.columns.get((case_id, i), {})
        row = (*ours, *(texts.get(name, "") for name in names))
        writer.writerow([*map(safe_cell, row)])
    # spreadsheets take other encodings for granted where there is no mark
    return stream.getvalue().encode("utf-8-sig")


def plane_of(geometry: Geometry, axis: int) -> str:
    """What the slices along an array axis are closest to: axial, coronal or sagittal."""
    assert geometry.affine is not None  # NIfTI files have one
    row = int(np.argmax(np.abs(geometry.affine[:3, axis])))
    return next(plane for plane, of_plane in PLANES.items() if of_plane == row)


def slice_positions(geometry: Geometry, axis: int) -> np.ndarray:
    """Where the centre of each slice lies, as 3D Slicer and nibabel count (RAS), in mm.

    The coordinate towards superior for axial slices, anterior for coronal and right for sagittal
    ones.
    """
    assert geometry.affine is not None
    centre = (np.array(geometry.shape) - 1) / 2
    points = np.repeat([[*centre, 1.0]], geometry.shape[axis], axis=0)
    points[:, axis] = np.arange(geometry.shape[axis])
    positions: np.ndarray = points @ (RAS_TO_LPS @ geometry.affine).T
    return positions[:, PLANES[plane_of(geometry, axis)]]


def position_text(positions: np.ndarray, index: int) -> str:
    """Position of a slice, in mm, with the decimals that tell neighbours apart; two at least."""
    steps = np.abs(np.diff(positions))
    step = float(steps.min()) if len(steps) else 1.0
    decimals = max(2, 1 - math.floor(math.log10(step))) if step > 0 else 2
    return f"{positions[index]:.{decimals}f}"


def _parse(content: bytes, file: Path, campaign: Campaign) -> Answers:
    table = parse_spreadsheet(content, file, "note", (*_OURS, *_THEIRS, _CONFIRMED))
    if missing := {"case", "slice"} - set(table.names):
        raise SparseError(f"{file} lacks the column {min(missing)}")
    order = enumerate(work_order(campaign), 1)
    lines = {number: (line.case_id, line.slice_index) for number, line in order}
    asked = set(lines.values())
    theirs = {name: plain_cell(name) for name in table.names if name not in _OURS}
    columns: dict[SliceKey, dict[str, str]] = {}
    statuses: dict[SliceKey, str] = {}
    cases = ChangedNames(
        campaign.volumes, {plain_cell(row["case"].strip()) for _, row in table.rows}
    )
    for number, row in table.rows:
        where = f"{file}, line {number}"
        key = _key(row, lines, cases, where)
        if key not in asked:
            name = cut(key[0])
            raise SparseError(f"{where}: slice {key[1]} of case {name} was not asked for")
        if key in columns:
            raise SparseError(f"{where}: slice {key[1]} of case {key[0]} is there twice")
        columns[key] = {plain: plain_cell(row.get(n, "")) for n, plain in theirs.items()}
        statuses[key] = row.get("status", "").strip()
        _check_answer(columns[key], table.delimiter, where, campaign.has_predictions)
    names = tuple(dict.fromkeys((*theirs.values(), *_THEIRS)))
    return Answers(columns, names, table.delimiter, statuses=statuses)


def _key(
    row: Mapping[str, str], lines: Mapping[int, SliceKey], names: ChangedNames, where: str
) -> SliceKey:
    """Case and slice of a row.

    A spreadsheet may have made the number 7 of the case ID ``007``, or a date of ``3-4``. The ID is
    restored from the line with the same order and slice, unless the text is, or may have been,
    another case; or from the only case that it may have been.
    """
    text = plain_cell(row["case"].strip())
    given = row["slice"].strip()
    i = whole_number(given)
    if i is None:
        raise SparseError(f"{where}: slice must be a whole number, got {brief(given)}")
    of_order = lines.get(whole_number(row.get("order", "")) or 0)
    if of_order is not None and of_order[1] != i:
        of_order = None
    if of_order is not None and may_be(of_order[0], text):
        return of_order
    similar = names.meant(text)
    if len(similar) == 1:
        return similar[0], i
    if similar:
        raise SparseError(f"{where}: {brief(text)} may be case {' or '.join(similar)}")
    return of_order if of_order is not None else (text, i)


def _check_answer(
    texts: Mapping[str, str], delimiter: str, where: str, has_predictions: bool
) -> None:
    for name in ("confirmed_empty", *([_CONFIRMED] if has_predictions else [])):
        confirmed = texts.get(name, "").strip()
        if truth_value(confirmed) is None:
            raise SparseError(f"{where}: {name} must be yes or empty, got {brief(confirmed)}")
    given = texts.get("minutes", "")
    minutes = 0 if is_missing(given) else decimal_number(given, delimiter)
    if minutes is None or minutes < 0:
        raise SparseError(f"{where}: minutes must be a number from 0 on, got {brief(given)}")
