"""A session in which somebody annotates a campaign, without its window.

The window shows :attr:`AnnotationSession.volume` (images, and the label that is painted on), tells
:meth:`AnnotationSession.painted` of every stroke and calls :meth:`AnnotationSession.tick` every
second. All else are keys: each method is one, and says what came of it.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from nnunet_sparse.annotate.both_readings import BothReadings
from nnunet_sparse.annotate.lease import Holder
from nnunet_sparse.annotate.network_view import NetworkView
from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.outcome import IN_CONFLICT, Outcome, Result
from nnunet_sparse.annotate.slice_proposals import SliceProposals
from nnunet_sparse.annotate.walk import Walk
from nnunet_sparse.annotate.work_queue import WorkQueue
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.slice_times import DONE, EMPTY, UNSURE
from nnunet_sparse.campaign.worklist import SliceKey


class AnnotationSession:
    """Somebody who annotates a campaign.

    Parameters
    ----------
    folder
        The campaign's.
    annotator
        Who.
    free
        Whether slices that were not asked for take paint; they become extra slices.
    now
        Seconds on a clock that is never set back.
    executor
        Where files are compressed and written, one job after the other; by default a thread.
    holder
        The session, as others see it; by default this process.
    network
        Looks at the volumes, and ends with the session; None for none.

    Attributes
    ----------
    proposals
        What programs propose for the slice.

    Raises
    ------
    SparseError
        If the folder is no campaign, or an image or the worklist cannot be read.
    OSError
        If the folder cannot be written to.
    """

    def __init__(
        self,
        folder: Path,
        annotator: str = "",
        *,
        free: bool = False,
        now: Callable[[], float] = time.monotonic,
        executor: Executor | None = None,
        holder: Holder | None = None,
        network: NetworkView | None = None,
    ) -> None:
        self._annotator, self._free = annotator, free
        self._executor = executor or ThreadPoolExecutor(1, "saving")
        here = holder or Holder.here(annotator, secrets.token_hex(4))
        self._network = network
        self._readings = BothReadings(
            folder, lambda part: Walk(part, annotator, now, self._executor, here, network)
        )
        self._readings.start()
        self.proposals = SliceProposals(self._readings, annotator, network)

    @property
    def folder(self) -> Path:
        """The campaign's, also where its second readings are worked on."""
        return self._readings.folder

    @property
    def _walk(self) -> Walk:
        return self._readings.walk

    @property
    def campaign(self) -> Campaign:
        """The campaign, with the rounds that it has now."""
        return self._walk.campaign

    @property
    def current(self) -> SliceKey | None:
        """The slice that is to be annotated; None if there is none."""
        return self._walk.current

    @property
    def shown(self) -> int:
        """Index of the slice that is looked at; that of ``current`` unless somebody browses."""
        return self._walk.shown

    @property
    def blocked(self) -> dict[str, str]:
        """Cases that are not offered, and why."""
        return self._walk.blocked

    @property
    def volume(self) -> OpenVolume | None:
        """The volume that is shown."""
        work = self._walk.work
        return None if work is None else work.volume

    @property
    def queue(self) -> WorkQueue:
        """Which slices are still to be annotated."""
        return self._walk.shared.queue

    @property
    def problems(self) -> list[str]:
        """Lines about what does not work, above all what could not be written and is kept."""
        problem = self.proposals.problem
        lines = [
            line
            for walk in self._readings.walks
            for line in (*walk.volumes.problems, *walk.notices.values())
        ]
        return [*lines, problem] if problem else lines

    @property
    def progress(self) -> tuple[int, int]:
        """Number of slices that are annotated, and that this annotator is asked for."""
        asked = len(self.queue.keys) - self._walk.num_withheld
        return len(self.queue.keys) - self.queue.num_open, asked

    @property
    def minutes(self) -> float:
        """Time at work in this session."""
        return sum(walk.decisions.seconds for walk in self._readings.walks) / 60

    @property
    def minutes_left(self) -> float | None:
        """Time that is left, at the pace of the slices that were measured; None without any."""
        times = self._walk.times
        if not times:
            return None
        left = self.queue.num_open - self._walk.num_withheld
        return left * sum(t.seconds for t in times) / len(times) / 60

    @property
    def reason(self) -> str:
        """Why the slice that is shown was chosen; empty if it was not."""
        return "" if self.volume is None else self.volume.reasons.get(self.shown, "")

    @property
    def note(self) -> str:
        """What the worklist notes on the current slice."""
        return "" if self.current is None else self._walk.shared.notes.get(self.current, "")

    @property
    def is_free(self) -> bool:
        """Whether slices that were not asked for take paint."""
        return self._free

    def painted(self, slices: Sequence[int]) -> str | None:
        """Somebody has painted on slices of the label; what was not accepted, and why."""
        work = self._walk.act()
        message = None
        for index in slices:
            if self._free and not work.volume.may_paint(index):
                work.volume.take_extra(index)
            message = work.paint(index, self._annotator) or message
        return message

    def look_for_strokes(self, slices: Iterable[int]) -> str | None:
        """Take what was painted on slices of which that is not known; as :meth:`painted`."""
        volume = self.volume
        found = [] if volume is None else [i for i in slices if volume.is_painted(i)]
        return self.painted(found) if found else None

    def next(self, confirmed: bool = False) -> Outcome:
        """Save the slice, and show the next one.

        Parameters
        ----------
        confirmed
            Whether a suggestion on which nothing was painted is meant as it is.
        """
        begun = self._begin()
        if isinstance(begun, Outcome):
            return begun
        volume, index, plane = begun
        draft = volume.unsaved.drafts.get(index)
        if draft is None and not volume.is_open(index):
            return self._readings.advance()
        if not volume.shows_object(plane):
            return Outcome(Result.CONFIRM, "nothing is painted here: confirm that nothing is here")
        is_suggestion = draft is not None and draft.is_untouched_suggestion
        if (is_suggestion or volume.is_prediction(index, plane)) and not confirmed:
            return Outcome(Result.CONFIRM, "this is as it was proposed: confirm that it is right")
        return self._decide(index, plane, DONE)

    def nothing_here(self) -> Outcome:
        """Confirm that the slice shows no object, and show the next one."""
        begun = self._begin()
        if isinstance(begun, Outcome):
            return begun
        volume, index, plane = begun
        if volume.shows_object(plane):
            return Outcome(Result.STAYED, "something is painted here: erase it first")
        return self._decide(index, np.zeros_like(plane), EMPTY)

    def unsure(self, note: str = "") -> Outcome:
        """Leave the slice for the end, with a note; what is painted stays, and is not saved."""
        begun = self._begin()
        if isinstance(begun, Outcome):
            return begun
        volume, index, _ = begun
        plane = volume.decided(index)
        if index not in volume.unsaved.drafts and volume.shows_object(plane):
            self.proposals.put(index, plane)
        ignored = np.full_like(plane, self.campaign.ignore_label)
        return self._decide(index, ignored, UNSURE, note)

    def back(self) -> Outcome:
        """Show the slice before."""
        self._walk.decisions.act()
        return self._walk.back()

    def visit(self, key: SliceKey) -> Outcome:
        """Work on another slice that was asked for."""
        self._walk.decisions.act()
        return self._walk.visit(key)

    def look(self, index: int) -> None:
        """Look at another slice of the volume."""
        work = self._walk.act()
        self._walk.shown = min(max(index, 0), len(work.volume) - 1)

    def return_to_slice(self) -> None:
        """Show the slice again that is to be annotated."""
        self._walk.act()
        assert self.current is not None
        self._walk.shown = self.current[1]

    def resolve(self, index: int, mine: bool) -> None:
        """End a conflict: go on with what was painted here, or with what the file holds."""
        work = self._walk.act()
        work.put(index, partial(work.volume.resolve, index, mine))
        self._walk.shared.note(work.volume)

    def when_leaving(self, let_go: Callable[[], None]) -> None:
        """Have something called before the volume that is shown is given up for another one.

        Who shows its images and label then lets go of them, lest two volumes are in memory.
        """
        self._readings.when_leaving(let_go)

    def tick(self) -> None:
        """What is to be done every second: strokes into the journal, files, the lease."""
        for walk in self._readings.walks:
            walk.tick()
        if self._network is not None:
            self._network.tick()

    def keep(self) -> list[str]:
        """Bring all that is not saved to where it outlives the session, before that is closed.

        Returns
        -------
        list of str
            What could not be written, and would be lost.
        """
        return [line for walk in self._readings.walks for line in walk.volumes.keep()]

    def close(self) -> list[str]:
        """Write what is decided and end the session; what is painted is there the next time.

        Returns
        -------
        list of str
            What could not be written; it is tried again by the next session.
        """
        if self._network is not None:
            self._network.close()
        problems = [line for walk in self._readings.walks for line in walk.close()]
        self._executor.shutdown()
        return list(dict.fromkeys(problems))

    def _begin(self) -> tuple[OpenVolume, int, np.ndarray] | Outcome:
        """The slice that is to be decided on and what is painted there, or why it cannot be."""
        if self._walk.work is None or self.current is None:
            return self._readings.advance()
        volume, index = self._walk.act().volume, self.current[1]
        if index in volume.conflicts:
            return IN_CONFLICT
        return volume, index, volume.looks(index)

    def _decide(self, index: int, plane: np.ndarray, state: str, note: str = "") -> Outcome:
        self._walk.decisions.take(index, plane, state, note)
        return self._readings.advance()
