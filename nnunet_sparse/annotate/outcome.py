"""What came of a key of the window."""

from dataclasses import dataclass
from enum import Enum


class Result(Enum):
    """What came of a key."""

    MOVED = "another slice is shown"
    STAYED = "the same slice is shown; the text says why"
    CONFIRM = "it must be confirmed that this is meant"
    FINISHED = "no slice is left to be annotated"


@dataclass(frozen=True)
class Outcome:
    """What came of a key, and a line about it."""

    result: Result
    text: str = ""


IN_CONFLICT = Outcome(Result.STAYED, "another program has changed this slice as well: keep one")
"""Of a slice on which nothing is decided before somebody has chosen."""
