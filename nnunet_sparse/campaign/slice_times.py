"""How long people worked on slices: ``slice_times.csv``, a line for each time a slice was saved.

``worklist.csv`` is for people, who may round, forget and correct; here seconds stand as they were
measured, with what decides how long a slice takes.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import read_spreadsheet
from nnunet_sparse.system.spreadsheet_cells import decimal_number, plain_cell, safe_cell
from nnunet_sparse.system.wording import brief

TIMES_FILE = "slice_times.csv"
_LARGEST = 10**9  # seconds: 30 years
DONE, EMPTY, UNSURE, EXTRA = "done", "confirmed empty", "unsure", "extra"


@dataclass(frozen=True)
class SliceTime:
    """Work on a slice until it was saved.

    Attributes
    ----------
    visit
        Names this line, so that it is written once.
    case_id, slice_index
        The slice.
    annotator
        Who worked on it; may be empty.
    seconds
        Time at work since it was saved before, or was begun.
    state
        As what it was saved: ``done``, ``confirmed empty``, ``unsure`` or ``extra``.
    objects
        Number of objects on it: pixels of one label that touch each other.
    distance
        In slices, to the nearest one with objects that was annotated before; None if there was
        none.
    opens
        Whether it was the first one of its volume in a session, which had to be looked through.
    """

    visit: str
    case_id: str
    slice_index: int
    annotator: str
    seconds: float
    state: str
    objects: int = 0
    distance: int | None = None
    opens: bool = False


_COLUMNS = tuple(field.name for field in fields(SliceTime))


def read_times(campaign: Campaign) -> list[SliceTime]:
    """Read what was measured, oldest first; nothing where nothing was.

    Raises
    ------
    SparseError
        If the file is no such table; with file and line.
    """
    file = campaign.folder / TIMES_FILE
    if not file.is_file():
        return []
    table = read_spreadsheet(file, None, _COLUMNS)
    if missing := set(_COLUMNS) - set(table.names):
        raise SparseError(f"{file} lacks the column {min(missing)}")
    return [_time_of(row, f"{file}, line {line}") for line, row in table.rows]


def add_times(campaign: Campaign, times: Sequence[SliceTime]) -> list[SliceTime]:
    """Add lines in one step, but for those that are there; the caller holds the campaign's lock.

    Returns
    -------
    list of SliceTime
        All that the file holds.

    Raises
    ------
    SparseError
        As :func:`read_times`.
    """
    before = read_times(campaign)
    known = {time.visit for time in before}
    added = [time for time in times if time.visit not in known]
    if added:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(_cells(time) for time in [*before, *added])
        with atomic_path(campaign.folder / TIMES_FILE) as temporary:
            temporary.write_bytes(stream.getvalue().encode("utf-8-sig"))
    return [*before, *added]


def slice_totals(times: Iterable[SliceTime]) -> list[SliceTime]:
    """Put together what each annotator needed for each slice that is finished.

    Seconds of all lines add up. State and objects are those of the last line, the distance is that
    of the first: later ones may be corrections beside slices that were annotated since. Slices that
    were left as unsure are not among them.
    """
    totals: dict[tuple[str, int, str], SliceTime] = {}
    for time in times:
        key = time.case_id, time.slice_index, time.annotator
        before = totals.get(key)
        if before is not None:
            time = replace(  # noqa: PLW2901
                time,
                seconds=before.seconds + time.seconds,
                distance=before.distance,
                opens=before.opens or time.opens,
            )
        totals[key] = time
    return [time for time in totals.values() if time.state != UNSURE]


def minutes_texts(times: Iterable[SliceTime], case_id: str, slice_index: int) -> list[str]:
    """What the column ``minutes`` of the worklist held after each line of a slice; last the sum."""
    seconds, texts = 0.0, []
    for time in times:
        if (time.case_id, time.slice_index) == (case_id, slice_index):
            seconds += time.seconds
            texts.append(f"{seconds / 60:.2f}")
    return texts


def _cells(time: SliceTime) -> list[object]:
    values = asdict(time)
    values["seconds"] = f"{time.seconds:.1f}"
    values["distance"] = "" if time.distance is None else time.distance
    values["opens"] = "yes" if time.opens else ""
    return [safe_cell(values[name]) for name in _COLUMNS]


def _time_of(row: Mapping[str, str], where: str) -> SliceTime:
    numbers = {
        name: _number(row[name], name, where) for name in ("slice_index", "seconds", "objects")
    }
    distance = row["distance"].strip()
    return SliceTime(
        row["visit"].strip(),
        plain_cell(row["case_id"].strip()),
        int(numbers["slice_index"]),
        plain_cell(row["annotator"].strip()),
        numbers["seconds"],
        row["state"].strip(),
        int(numbers["objects"]),
        int(_number(distance, "distance", where)) if distance else None,
        bool(row["opens"].strip()),
    )


def _number(text: str, name: str, where: str) -> float:
    value = decimal_number(text)
    is_valid = value is not None and 0 <= value <= _LARGEST
    if value is None or not is_valid or (name != "seconds" and value != math.floor(value)):
        raise SparseError(
            f"{where}: {name} must be a number from 0 to {_LARGEST}, got {brief(text)}"
        )
    return value
