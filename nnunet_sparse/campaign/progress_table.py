"""The table that says how far the annotation of a campaign has come."""

from collections.abc import Mapping, Sequence

from nnunet_sparse.campaign.progress import CampaignProgress
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.worklist import Answers

_COLUMNS = ("case", "asked", "done", "empty", "todo", "extra", "minutes", "state")
# aligned to the left; the others are numbers
_TEXTS = frozenset({"case", "state"})
_STATES = ("todo", "touched", "done", "confirmed empty")


def progress_table(answers: Answers, progress: CampaignProgress) -> str:
    """A line for each case, the sums, and what is wrong.

    ``done`` counts slices with an object (or partly unknown), ``empty`` those that were confirmed
    to show none, ``todo`` those without annotation.
    """
    rows = [{column: column for column in _COLUMNS}]
    for case_id, case in progress.cases.items():
        time = answers.minutes(case_id) if answers.num_timed(case_id) else None
        rows.append(_row(case_id, case.states, time))
    widths = {column: max(len(row[column]) for row in rows) for column in _COLUMNS}
    lines = [_aligned(row, widths) for row in rows]
    lines += ["", _volumes(progress), f"slices:   {slices_text(progress)}"]
    if time_line := _time(progress, answers):
        lines.append(time_line)
    lines += problem_lines(progress)
    return "\n".join(lines)


def _row(case_id: str, states: SliceStates, minutes: float | None) -> dict[str, str]:
    """Text of each cell by column."""
    return {
        "case": case_id,
        "asked": str(states.num_asked),
        "done": str(len(states.done) + len(states.contradictory)),
        "empty": str(len(states.empty)),
        "todo": str(len(states.missing)),
        "extra": str(len(states.extra)),
        "minutes": "" if minutes is None else f"{minutes:g}",
        "state": states.summary,
    }


def _aligned(row: Mapping[str, str], widths: Mapping[str, int]) -> str:
    """The row as a line, whose columns have the widths."""
    cells = [
        text.ljust(widths[column]) if column in _TEXTS else text.rjust(widths[column])
        for column, text in row.items()
    ]
    return "  ".join(cells).rstrip()


def _volumes(progress: CampaignProgress) -> str:
    summaries = [case.states.summary for case in progress.cases.values()]
    counts = [f"{summaries.count(state)} {state}" for state in _STATES]
    return f"volumes:  {len(summaries)}: {', '.join(counts)}"


def slices_text(progress: CampaignProgress) -> str:
    """How many slices are annotated, and how many are left."""
    states = list(progress.states.values())
    done = sum(len(s.done) + len(s.contradictory) for s in states)
    empty = sum(len(s.empty) for s in states)
    todo = sum(len(s.missing) for s in states)
    text = f"{done + empty + todo}: {todo} todo, {done} done, {empty} confirmed empty"
    extra = sum(len(s.extra) for s in states)
    return text + (f"; {extra} annotated that were not asked for" if extra else "")


def _time(progress: CampaignProgress, answers: Answers) -> str | None:
    """Time spent, and time left at the same pace."""
    timed = sum(answers.num_timed(case_id) for case_id in progress.cases)
    if not timed:
        return None
    minutes = sum(answers.minutes(case_id) for case_id in progress.cases)
    todo = sum(len(states.missing) for states in progress.states.values())
    return (
        f"time:     {minutes:g} min for {timed} slices, {minutes / timed:.1f} min a slice; about "
        f"{todo * minutes / timed:.0f} min left"
    )


def problem_lines(progress: CampaignProgress) -> list[str]:
    """What a person should look at."""
    lines = []
    for case_id, case in progress.cases.items():
        states = case.states
        for slices, what in (
            (states.contradictory, "confirmed empty, but with an object, or ignore everywhere"),
            (states.unfinished, "with objects, but ignore in place of background"),
            (
                states.predicted,
                "as the network predicted: correct it, or write yes into the column confirmed",
            ),
            (states.skipped, "ignore everywhere"),
            (states.extra, "annotated, but not asked for"),
            (states.cleared, "background, but not asked for: was the label ignore lost?"),
        ):
            if slices:
                lines.append(f"look at:  {slices_of_case(case_id, slices)}: {what}")
        if case.problem is not None:
            lines.append(f"problem:  {case.problem}")
    lines += [f"problem:  {text}" for text in progress.unusable.values()]
    lines += [f"unknown:  {file} belongs to no case" for file in progress.unknown]
    return lines


def slices_of_case(case_id: str, slices: Sequence[int]) -> str:
    """Slices of a case, for messages."""
    plural = "s" if len(slices) > 1 else ""
    return f"{case_id}, slice{plural} {', '.join(map(str, slices))}"
