"""The table that says how long slices take, by annotator."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from nnunet_sparse.campaign.slice_times import SliceTime, slice_totals
from nnunet_sparse.campaign.text_rows import aligned_rows

_TITLE = "seconds a slice"
_GROUPS: dict[str, Callable[[SliceTime], bool]] = {
    "all": lambda time: True,  # noqa: ARG005
    "with objects": lambda time: time.objects > 0,
    "empty": lambda time: time.objects == 0,
    "next to": lambda time: time.objects > 0 and time.distance == 1,
    "2 to 5": lambda time: (
        time.objects > 0 and time.distance is not None and 2 <= time.distance < 6
    ),
    "further": lambda time: time.objects > 0 and (time.distance is None or time.distance > 5),
}


def times_table(times: Iterable[SliceTime]) -> str | None:
    """A line for each annotator, and for all where there are several; None without times.

    Columns are means over slices, with the number of slices behind them. ``next to``, ``2 to 5``
    and ``further`` are slices with objects by the distance, in slices, to the nearest one with
    objects that was annotated before.
    """
    totals = slice_totals(times)
    if not totals:
        return None
    by_name: defaultdict[str, list[SliceTime]] = defaultdict(list)
    for time in totals:
        by_name[time.annotator].append(time)
    rows = [[_TITLE, *_GROUPS]]
    rows += [_row(name or "(no name)", by_name[name]) for name in sorted(by_name)]
    if len(by_name) > 1:
        rows.append(_row("all", totals))
    return aligned_rows(rows)


def _row(name: str, times: Sequence[SliceTime]) -> list[str]:
    cells = [name]
    for belongs in _GROUPS.values():
        seconds = [time.seconds for time in times if belongs(time)]
        cells.append(f"{sum(seconds) / len(seconds):.0f} ({len(seconds)})" if seconds else "-")
    return cells
