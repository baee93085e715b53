"""What the dock says of a session: of the slice, of how far it is, and of the time."""

from dataclasses import dataclass, replace

from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.session import AnnotationSession

_STATES = {
    "done": "annotated",
    "contradictory": "annotated",
    "extra": "annotated, though it was not asked for",
    "empty": "confirmed: there is nothing here",
    "predicted": "as a network predicts: correct it, or confirm it",
}


@dataclass(frozen=True)
class Shown:
    """What the dock says.

    Attributes
    ----------
    title
        Case and slice.
    state
        How it stands with the slice that is looked at.
    reason
        Why the slice was chosen.
    note
        What the worklist notes on it.
    done, asked
        Number of slices that are annotated, and were asked for.
    time
        Minutes so far and left.
    network
        What the network does that proposes labels.
    message
        What the last key has to say.
    problems
        What could not be written.
    conflict
        Whether it is to be chosen which of two versions of a slice stays.
    """

    title: str
    state: str = ""
    reason: str = ""
    note: str = ""
    done: int = 0
    asked: int = 0
    time: str = ""
    network: str = ""
    message: str = ""
    problems: tuple[str, ...] = ()
    conflict: bool = False


def shown_of(session: AnnotationSession, message: str) -> Shown:
    """What the dock says of a session.

    Parameters
    ----------
    session
        The session.
    message
        What the last key has to say.
    """
    done, asked = session.progress
    shown = Shown(
        "no slice is open",
        done=done,
        asked=asked,
        time=time_text(session.minutes, session.minutes_left),
        network=session.proposals.network_says,
        message=message,
        problems=tuple(session.problems),
    )
    volume, current = session.volume, session.current
    if volume is None or current is None:
        return shown
    title = f"{volume.case_id}, slice {session.shown}"
    if session.shown != current[1]:
        title += f" (R: back to {current[1]})"
    return replace(
        shown,
        title=title,
        state=slice_state(volume, session.shown, session.is_free),
        reason=session.reason,
        note=session.note,
        conflict=bool(volume.conflicts),
    )


def slice_state(volume: OpenVolume, index: int, is_free: bool) -> str:
    """How it stands with a slice, in words.

    Parameters
    ----------
    volume
        Its volume.
    index
        The slice.
    is_free
        Whether slices that were not asked for take paint.
    """
    if index in volume.conflicts:
        return "another program has changed it as well: keep one"
    if index in volume.unsaved.drafts:
        if index in volume.asked:
            return "painted, not saved yet: N saves it"
        return "painted, extra: it was not asked for"
    state = volume.state(index)
    if index in volume.asked:
        return _STATES.get(str(state), "to be annotated: paint, then press N")
    if state == "extra":
        return _STATES["extra"]
    return "not asked for: " + ("what you paint is extra" if is_free else "takes no paint")


def time_text(minutes: float, left: float | None) -> str:
    """Minutes so far, and those that are left."""
    so_far = f"{minutes:.0f} min so far"
    return so_far if left is None else f"{so_far}, about {left:.0f} min left"
