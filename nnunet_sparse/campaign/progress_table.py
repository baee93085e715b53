"""The table that says how far the annotation of a campaign has come."""

from nnunet_sparse.campaign.progress import Progress
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.worklist import Answers

_HEADER = ("case", "asked", "done", "empty", "todo", "extra", "minutes", "state")
_STATES = ("todo", "touched", "done", "confirmed empty")


def status_table(answers: Answers, progress: Progress) -> str:
    """A line for each case, the sums, and what is wrong.

    ``done`` counts slices with an object (or partly unknown), ``empty`` those that were confirmed
    to show none, ``todo`` those without annotation.
    """
    rows: list[tuple[str, ...]] = [_HEADER]
    for case_id, case in progress.cases.items():
        time = answers.minutes(case_id) if answers.num_timed(case_id) else None
        rows.append(_row(case_id, case.states, time))
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADER))]
    lines = [_aligned(row, widths) for row in rows]
    lines += ["", _volumes(progress), _slices(progress)]
    if time_line := _time(progress, answers):
        lines.append(time_line)
    lines += _details(progress)
    return "\n".join(lines)


def _row(case_id: str, states: SliceStates, minutes: float | None) -> tuple[str, ...]:
    counts = (
        states.num_asked,
        len(states.done) + len(states.contradictory),
        len(states.empty),
        len(states.missing),
        len(states.extra),
    )
    time = "" if minutes is None else f"{minutes:g}"
    return (case_id, *map(str, counts), time, states.summary)


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *numbers, last = row
    middle = "  ".join(f"{text:>{w}}" for text, w in zip(numbers, widths[1:-1], strict=True))
    return f"{first:<{widths[0]}}  {middle}  {last}"


def _volumes(progress: Progress) -> str:
    summaries = [case.states.summary for case in progress.cases.values()]
    counts = [f"{summaries.count(state)} {state}" for state in _STATES]
    return f"volumes:  {len(summaries)}: {', '.join(counts)}"


def _slices(progress: Progress) -> str:
    states = list(progress.states.values())
    done = sum(len(s.done) + len(s.contradictory) for s in states)
    empty = sum(len(s.empty) for s in states)
    todo = sum(len(s.missing) for s in states)
    text = f"slices:   {done + empty + todo}: {todo} todo, {done} done, {empty} confirmed empty"
    extra = sum(len(s.extra) for s in states)
    return text + (f"; {extra} annotated that were not asked for" if extra else "")


def _time(progress: Progress, answers: Answers) -> str | None:
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


def _details(progress: Progress) -> list[str]:
    """What a person should look at."""
    lines = []
    for case_id, case in progress.cases.items():
        states = case.states
        for slices, what in (
            (states.contradictory, "confirmed empty, but with an object, or ignore everywhere"),
            (states.unfinished, "with objects, but ignore in place of background"),
            (states.skipped, "ignore everywhere"),
            (states.extra, "annotated, but not asked for"),
            (states.cleared, "background, but not asked for: was the label ignore lost?"),
        ):
            if slices:
                lines.append(f"look at:  {case_id}, {_numbers(slices)}: {what}")
        if case.problem is not None:
            lines.append(f"problem:  {case.problem}")
    lines += [f"problem:  {text}" for text in progress.unusable.values()]
    lines += [f"unknown:  {file} belongs to no case" for file in progress.unknown]
    return lines


def _numbers(slices: tuple[int, ...]) -> str:
    return f"slice{'s' if len(slices) > 1 else ''} {', '.join(map(str, slices))}"
