"""Time at work: what passes between actions, without pauses."""

from collections.abc import Callable

LONGEST_S = 60.0
"""Two actions that lie further apart have a pause between them, which does not count."""


class WorkClock:
    """Adds up the time between actions.

    Parameters
    ----------
    now
        Seconds on a clock that is never set back, as :func:`time.monotonic`.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._last, self._seconds = now, now(), 0.0

    def act(self) -> None:
        """Somebody does something: the time since the last action counts, unless it was a pause."""
        now = self._now()
        passed = now - self._last
        self._last = now
        if 0 < passed <= LONGEST_S:
            self._seconds += passed

    def take(self) -> float:
        """Seconds at work up to the last action, which are counted from 0 again."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds
