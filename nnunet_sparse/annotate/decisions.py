"""Taking decisions on slices of the open volume, with the time at work that they took."""

import secrets
from collections.abc import Callable
from functools import partial

import numpy as np

from nnunet_sparse.annotate.plane_store import plane_check
from nnunet_sparse.annotate.shared_queue import SharedQueue
from nnunet_sparse.annotate.slice_work import Decision, joined_notes
from nnunet_sparse.annotate.suggestions import nearest_annotated_slice
from nnunet_sparse.annotate.volumes_at_work import VolumesAtWork
from nnunet_sparse.annotate.work_clock import WorkClock
from nnunet_sparse.campaign.slice_times import DONE, EMPTY, EXTRA, UNSURE

LEAST_S = 1.0
"""Time at a slice that is not changed from which on it is written down."""


class Decisions:
    """Takes decisions of one annotator, and has them written.

    Parameters
    ----------
    volumes
        The volumes of the session.
    shared
        Its queue.
    annotator
        Who.
    now
        Seconds on a clock that is never set back.

    Attributes
    ----------
    index
        The slice of the open volume to which time is added; None if there is none.
    opens
        Whether the next decision is the first one on the open volume.
    seconds
        Time at work since the beginning.
    """

    def __init__(
        self,
        volumes: VolumesAtWork,
        shared: SharedQueue,
        annotator: str,
        now: Callable[[], float],
    ) -> None:
        self._volumes, self._shared, self._annotator = volumes, shared, annotator
        self._clock = WorkClock(now)
        self.index: int | None = None
        self.opens = False
        self.seconds = 0.0

    def act(self) -> None:
        """Somebody does something."""
        self._clock.act()

    def begin(self) -> None:
        """Count from now on: what passed before was worked elsewhere."""
        self._clock.act()
        self._clock.take()

    def spend(self) -> None:
        """Add the time at work to the slice."""
        self._clock.act()
        seconds = self._clock.take()
        self.seconds += seconds
        if self._volumes.current is not None and self.index is not None:
            self._volumes.current.add_seconds(self.index, seconds)

    def take(self, index: int, plane: np.ndarray, state: str, note: str = "") -> None:
        """Take a decision on a slice of the open volume, and begin to write it.

        Parameters
        ----------
        index
            The slice.
        plane
            (rows, columns), what the label is to hold.
        state
            As in ``slice_times.csv``.
        note
            For the worklist.
        """
        work = self._volumes.current
        assert work is not None
        volume = work.volume
        draft = volume.unsaved.drafts.get(index)
        if draft is not None and state != UNSURE:
            note = joined_notes(note, draft.provenance)
        self.spend()
        seconds = volume.unsaved.seconds.get(index, 0.0)
        nearest = nearest_annotated_slice(volume, index)
        bases = [plane_check(volume.saved[index])]
        before, writing = volume.unsaved.decisions.get(index), work.being_written(index)
        if writing is not None:
            bases.append(plane_check(writing.plane))
        if before is not None and (writing is None or writing.visit != before.visit):
            seconds += before.seconds  # of a decision that will not be written
        decision = Decision(
            plane.copy(),
            tuple(bases),
            state,
            secrets.token_hex(8),
            self._annotator,
            seconds,
            index in volume.confirmed.empty,
            note,
            None if nearest is None else abs(nearest - index),
            self.opens,
            state == DONE and volume.is_prediction(index, plane),
        )
        work.decide(index, decision, draft if state == UNSURE else None)
        self.opens = False
        key = work.case_id, index
        self._shared.notes[key] = joined_notes(self._shared.notes.get(key, ""), note)
        self._shared.note(work.volume)
        self._volumes.save()

    def take_extras(self) -> None:
        """Save slices that were not asked for and show an object; others become as they were."""
        work = self._volumes.current
        if work is None:
            return
        for index, draft in list(work.volume.unsaved.drafts.items()):
            if index in work.volume.asked or index in work.volume.conflicts:
                continue
            if work.volume.shows_object(draft.plane):
                self.take(index, draft.plane, EXTRA)
            else:
                work.put(index, partial(work.volume.give_up_extra, index))

    def write_down_time(self) -> None:
        """Write down the time at slices that were looked at again and left as they were."""
        work = self._volumes.current
        if work is None:
            return
        volume, spent = work.volume, work.volume.unsaved.seconds
        for index, seconds in list(spent.items()):
            is_as_saved = index not in volume.unsaved.drafts and index not in volume.conflicts
            if index not in volume.asked or volume.is_open(index) or not is_as_saved:
                continue
            if seconds < LEAST_S:
                del spent[index]
                continue
            state = EMPTY if volume.state(index) == "empty" else DONE
            self.take(index, volume.decided(index), state)
