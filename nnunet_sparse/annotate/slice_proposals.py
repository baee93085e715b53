"""What programs propose for the slice that is to be annotated, and taking it."""

from collections.abc import Callable
from functools import partial

import numpy as np

from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.outcome import IN_CONFLICT, Outcome, Result
from nnunet_sparse.annotate.suggestions import copied, interpolated
from nnunet_sparse.annotate.walk import Walk


class SliceProposals:
    """Proposals for the slices of a session.

    Parameters
    ----------
    walk
        The way of the session through the slices.
    annotator
        Who takes them.
    """

    def __init__(self, walk: Walk, annotator: str) -> None:
        self._walk, self._annotator = walk, annotator

    def copy_nearest(self) -> Outcome:
        """Paint the nearest annotated slice that shows an object onto this one."""
        return self._take(copied)

    def find(self) -> np.ndarray | None:
        """What interpolation says of this slice, (rows, columns); None if it says nothing."""
        work = self._walk.act()
        assert self._walk.current is not None
        return interpolated(work.volume, self._walk.current[1])

    def accept(self) -> Outcome:
        """Paint what interpolation says onto this slice."""
        return self._take(interpolated)

    def put(self, index: int, plane: np.ndarray) -> None:
        """Show what is proposed on a slice."""
        work = self._walk.act()
        work.put(index, partial(work.volume.put, index, plane, self._annotator))

    def _take(self, suggest: Callable[[OpenVolume, int], np.ndarray | None]) -> Outcome:
        work = self._walk.act()
        assert self._walk.current is not None
        index = self._walk.current[1]
        if index in work.volume.conflicts:
            return IN_CONFLICT
        plane = suggest(work.volume, index)
        if plane is None:
            return Outcome(Result.STAYED, "no slice with an object is annotated in this volume yet")
        self._walk.shown = index
        self.put(index, plane)
        return Outcome(Result.STAYED)
