"""An annotator's way through a campaign, and through the slices that they read a second time.

Second readings have a folder of their own, which is walked through like any campaign. They come
when nothing else is offered, and of slices that somebody else has annotated before.
"""

from collections.abc import Callable
from pathlib import Path

from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.walk import Walk
from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE, SECOND_FOLDER
from nnunet_sparse.system.errors import SparseError

_SECOND = (
    "a second reading: somebody else has annotated this slice, and what they painted is not shown"
)


class BothReadings:
    """Which of the two is gone on with.

    Parameters
    ----------
    folder
        The campaign's, or that of its second readings alone.
    walk_through
        Makes the walk through a folder.

    Attributes
    ----------
    folder
        The campaign's.
    walk
        The walk that is gone on with.
    walks
        All that have begun, the one through the campaign first.

    Raises
    ------
    SparseError
        If the folder is no campaign, or its worklist cannot be read.
    """

    def __init__(self, folder: Path, walk_through: Callable[[Path], Walk]) -> None:
        self.folder, self._walk_through = folder, walk_through
        self._leaving: Callable[[], None] = lambda: None
        self.walk = walk_through(folder)
        self.walks = [self.walk]

    def start(self) -> None:
        """Go on where the annotator was, or begin."""
        if not self.walk.has_offer:
            self._turn()
        self.walk.start()
        if self.walk.current is None and self._turn():
            self.walk.start()

    def advance(self) -> Outcome:
        """Show the next slice that is open; as :meth:`Walk.advance`."""
        outcome = self.walk.advance()
        if outcome.result is not Result.FINISHED:
            return outcome
        if self._turn():
            outcome = self.walk.advance()
            is_second = self.walk.campaign.is_second_reading
            if outcome.result is Result.MOVED and is_second:
                return Outcome(Result.MOVED, _SECOND)
            return outcome
        if waiting := sum(walk.num_withheld for walk in self.walks):
            text = f"{outcome.text}; second readings that are left to others: {waiting}"
            return Outcome(Result.FINISHED, text)
        return outcome

    def when_leaving(self, let_go: Callable[[], None]) -> None:
        """Have something called before a volume is given up that is open."""
        self._leaving = let_go
        for walk in self.walks:
            walk.leaving = let_go

    def _turn(self) -> bool:
        """Go on with the other walk, if that has something to offer."""
        self._look_for_second()
        for other in self.walks:
            if other is not self.walk and other.looks_again():
                self.walk.rest()
                self.walk = other
                return True
        return False

    def _look_for_second(self) -> None:
        """Begin the walk through the second readings, as soon as there are any."""
        first = self.walks[0]
        folder = self.folder / SECOND_FOLDER
        if len(self.walks) > 1 or first.campaign.is_second_reading:
            return
        if not (folder / CAMPAIGN_FILE).is_file():
            return
        try:
            second = self._walk_through(folder)
        except (SparseError, OSError) as error:
            first.notices["second readings"] = str(error)
            return
        first.notices.pop("second readings", None)
        second.leaving = self._leaving
        self.walks.append(second)
