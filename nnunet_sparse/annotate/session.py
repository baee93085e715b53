"""A session in which somebody annotates a campaign, without its window.

The window shows :attr:`AnnotationSession.volume` (images, and the label that is painted on), tells
:meth:`AnnotationSession.painted` of every stroke and calls :meth:`AnnotationSession.tick` every
second. All else are keys: each method is one, and says what came of it.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from nnunet_sparse.annotate.lease import Holder
from nnunet_sparse.annotate.open_volume import ANNOTATED, OpenVolume
from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.plane_store import plane_check
from nnunet_sparse.annotate.read_ahead import read_ahead
from nnunet_sparse.annotate.shared_queue import SharedQueue
from nnunet_sparse.annotate.slice_work import Decision
from nnunet_sparse.annotate.suggestions import copied, interpolated, nearest_annotated_slice
from nnunet_sparse.annotate.volumes_at_work import VolumesAtWork
from nnunet_sparse.annotate.work_clock import WorkClock
from nnunet_sparse.annotate.work_queue import WorkQueue
from nnunet_sparse.annotate.worked_volume import TakenError, WorkedVolume
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.open_campaign import campaign_lock, open_campaign
from nnunet_sparse.campaign.slice_times import DONE, EMPTY, EXTRA, UNSURE, read_times, slice_totals
from nnunet_sparse.campaign.worklist import SliceKey
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.errors import SparseError, os_error_message
from nnunet_sparse.system.json_files import read_json

LEAST_S = 1.0
"""Time at a slice that is not changed from which on it is written down."""

_CONFLICT = "another program has changed this slice as well: keep one"


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

    Attributes
    ----------
    campaign
        The campaign.
    current
        The slice that is to be annotated; None if there is none.
    shown
        Index of the slice that is looked at; that of ``current`` unless somebody browses.
    blocked
        Cases that are not offered, and why.

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
    ) -> None:
        self._now, self._clock, self._free = now, WorkClock(now), free
        self._annotator = annotator
        with campaign_lock(folder):
            self.campaign = open_campaign(folder, 1)
        self._times = slice_totals(read_times(self.campaign))
        self._worked = 0.0
        self._shared = SharedQueue(self.campaign)
        self.blocked: dict[str, str] = {}
        self.current: SliceKey | None = None
        self.shown = 0
        self._volumes = VolumesAtWork(
            holder or Holder.here(annotator, secrets.token_hex(4)),
            now,
            executor or ThreadPoolExecutor(1, "saving"),
            self._settled,
        )
        self._history: list[SliceKey] = []
        self._opens = False
        self._notices: dict[str, str] = {}
        self._start()

    @property
    def volume(self) -> OpenVolume | None:
        """The volume that is shown."""
        work = self._volumes.current
        return None if work is None else work.volume

    @property
    def queue(self) -> WorkQueue:
        """Which slices are still to be annotated."""
        return self._shared.queue

    @property
    def problems(self) -> list[str]:
        """Lines about what could not be written, and is kept until it can."""
        return [*self._volumes.problems, *self._notices.values()]

    @property
    def progress(self) -> tuple[int, int]:
        """Number of slices that are annotated, and that were asked for."""
        return len(self.queue.keys) - self.queue.num_open, len(self.queue.keys)

    @property
    def minutes(self) -> float:
        """Time at work in this session."""
        return self._worked / 60

    @property
    def minutes_left(self) -> float | None:
        """Time that is left, at the pace of the slices that were measured; None without any."""
        if not self._times:
            return None
        mean = sum(t.seconds for t in self._times) / len(self._times)
        return self.queue.num_open * mean / 60

    @property
    def reason(self) -> str:
        """Why the current slice was chosen."""
        for number, asking in enumerate(self.campaign.rounds, 1):
            if self.current and self.current[1] in asking.slices.get(self.current[0], ()):
                return f"round {number}, {asking.variant.selector}"
        return ""

    def painted(self, slices: Sequence[int]) -> str | None:
        """Somebody has painted on slices of the label; what was not accepted, and why."""
        work = self._act()
        message = None
        for index in slices:
            if self._free and not work.volume.may_paint(index):
                work.volume.take_extra(index)
            message = work.paint(index, self._annotator) or message
        return message

    def next(self, confirmed: bool = False) -> Outcome:
        """Save the slice, and show the next one.

        Parameters
        ----------
        confirmed
            Whether a suggestion on which nothing was painted is meant as it is.
        """
        if self._work is None or self.current is None:
            return self._advance()
        work, (_, index) = self._act(), self.current
        if index in work.volume.conflicts:
            return Outcome(Result.STAYED, _CONFLICT)
        draft = work.volume.unsaved.drafts.get(index)
        if draft is None and not work.volume.is_open(index):
            return self._advance()
        plane = work.volume.starting(index) if draft is None else draft.plane
        if not self._shows_object(plane):
            return Outcome(Result.CONFIRM, "nothing is painted here: confirm that nothing is here")
        if draft is not None and draft.is_untouched_suggestion and not confirmed:
            return Outcome(Result.CONFIRM, "this is as it was proposed: confirm that it is right")
        self._decide(index, plane, DONE)
        return self._advance()

    def nothing_here(self) -> Outcome:
        """Confirm that the slice shows no object, and show the next one."""
        if self._work is None or self.current is None:
            return self._advance()
        work, (_, index) = self._act(), self.current
        if index in work.volume.conflicts:
            return Outcome(Result.STAYED, _CONFLICT)
        draft = work.volume.unsaved.drafts.get(index)
        plane = work.volume.starting(index) if draft is None else draft.plane
        if self._shows_object(plane):
            return Outcome(Result.STAYED, "something is painted here: erase it first")
        self._decide(index, np.zeros_like(plane), EMPTY)
        return self._advance()

    def unsure(self, note: str = "") -> Outcome:
        """Leave the slice for the end, with a note; what is painted stays, and is not saved."""
        if self._work is None or self.current is None:
            return self._advance()
        work, (_, index) = self._act(), self.current
        if index in work.volume.conflicts:
            return Outcome(Result.STAYED, _CONFLICT)
        draft = work.volume.unsaved.drafts.get(index)
        plane = work.volume.decided(index)
        if draft is None and work.volume.state(index) in ANNOTATED and self._shows_object(plane):
            work.put(index, partial(work.volume.put, index, plane, self._annotator))
            draft = work.volume.unsaved.drafts[index]
        self._decide(index, np.full_like(plane, self.campaign.ignore_label), UNSURE, note)
        return self._advance()

    def back(self) -> Outcome:
        """Show the slice before."""
        self._clock.act()
        while self._history:
            key = self._history.pop()
            if key == self.current:
                continue
            try:
                self._go(key)
            except SparseError as error:
                return Outcome(Result.STAYED, str(error))
            return Outcome(Result.MOVED)
        return Outcome(Result.STAYED, "this is the first slice")

    def visit(self, key: SliceKey) -> Outcome:
        """Work on another slice that was asked for."""
        self._clock.act()
        if key not in self.queue:
            return Outcome(Result.STAYED, f"slice {key[1]} of {key[0]} was not asked for")
        before = self.current
        try:
            self._go(key)
        except SparseError as error:
            return Outcome(Result.STAYED, str(error))
        if before is not None and before != key:
            self._history.append(before)
        return Outcome(Result.MOVED)

    def look(self, index: int) -> None:
        """Look at another slice of the volume."""
        work = self._act()
        self.shown = min(max(index, 0), len(work.volume) - 1)

    def return_to_slice(self) -> None:
        """Show the slice again that is to be annotated."""
        self._act()
        assert self.current is not None
        self.shown = self.current[1]

    def copy_nearest(self) -> Outcome:
        """Paint the nearest annotated slice that shows an object onto this one."""
        return self._suggest(copied)

    def proposal(self) -> np.ndarray | None:
        """What interpolation says of this slice, (rows, columns); None if it says nothing."""
        work = self._act()
        assert self.current is not None
        return interpolated(work.volume, self.current[1])

    def accept_proposal(self) -> Outcome:
        """Paint what interpolation says onto this slice."""
        return self._suggest(interpolated)

    def resolve(self, index: int, mine: bool) -> None:
        """End a conflict: go on with what was painted here, or with what the file holds."""
        work = self._act()
        work.put(index, partial(work.volume.resolve, index, mine))
        self._shared.note(work.volume)

    def tick(self) -> None:
        """What is to be done every second: strokes into the journal, files, the lease."""
        self._volumes.tick()
        if "bookmark" in self._notices and self.current is not None:
            self._keep_place()

    def close(self) -> list[str]:
        """Write what is decided and end the session; what is painted is there the next time.

        Returns
        -------
        list of str
            What could not be written; it is tried again by the next session.
        """
        self._spend()
        self._decide_extras()
        self._write_down_time()
        return self._volumes.close()

    @property
    def _work(self) -> WorkedVolume | None:
        return self._volumes.current

    def _start(self) -> None:
        content = read_json(self._bookmark)
        key = (content.get("case"), content.get("slice")) if isinstance(content, dict) else ()
        if key in self.queue.keys:
            try:
                self._go(key)
            except SparseError as error:
                self._note_refusal(key[0], error)
            else:
                return
        self._advance()

    def _advance(self) -> Outcome:
        """Show the next slice that is open, in a volume that can be opened."""
        before, busy = self.current, dict[str, str]()
        while True:
            key = self.queue.following(self.current or before, {**self.blocked, **busy})
            if key is None:
                return self._finished(busy)
            try:
                self._go(key)
            except TakenError as error:
                busy[key[0]] = str(error)
                continue
            except SparseError as error:
                self._note_refusal(key[0], error)
                continue
            if self.queue.is_open(key):
                break
            before = key
        if before is not None and before != self.current:
            self._history.append(before)
        return Outcome(Result.MOVED)

    def _finished(self, busy: dict[str, str]) -> Outcome:
        """Nothing more is offered: why."""
        if not self.queue.num_open:
            return Outcome(Result.FINISHED, "all slices that were asked for are annotated")
        reasons = "; ".join({**self.blocked, **busy}.values())
        return Outcome(Result.FINISHED, f"{self.queue.num_open} slices are left: {reasons}")

    def _go(self, key: SliceKey) -> None:
        """Show a slice; raises as :meth:`VolumesAtWork.open`."""
        case_id, index = key
        self._spend()
        self._decide_extras()
        if self._work is None or self._work.case_id != case_id:
            self._write_down_time()
            self.current = None
            self._volumes.leave()
            self._read_anew()
            work = self._volumes.open(
                self.campaign, case_id, self._shared.confirmed.get(case_id, ())
            )
            self._opens = True
            self._shared.note(work.volume)
            self._read_ahead()
        self.current, self.shown = key, index
        self._keep_place()

    def _keep_place(self) -> None:
        """Write where this annotator is; the next session goes on there."""
        assert self.current is not None
        try:
            write_json(self._bookmark, {"case": self.current[0], "slice": self.current[1]})
        except OSError as error:
            self._notices["bookmark"] = os_error_message(error)
        else:
            self._notices.pop("bookmark", None)

    def _act(self) -> WorkedVolume:
        """Somebody does something with the open volume."""
        self._clock.act()
        assert self._work is not None, "no volume is open"
        return self._work

    def _spend(self) -> None:
        """Add the time at work to the current slice."""
        self._clock.act()
        seconds = self._clock.take()
        self._worked += seconds
        if self._work is not None and self.current is not None:
            self._work.add_seconds(self.current[1], seconds)

    def _shows_object(self, plane: np.ndarray) -> bool:
        return bool(((plane != 0) & (plane != self.campaign.ignore_label)).any())

    def _decide(self, index: int, plane: np.ndarray, state: str, note: str = "") -> None:
        """Take a decision on a slice of the open volume, and begin to write it."""
        work = self._work
        assert work is not None
        volume = work.volume
        self._spend()
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
            index in volume.confirmed,
            note,
            None if nearest is None else abs(nearest - index),
            self._opens,
        )
        draft = volume.unsaved.drafts.get(index) if state == UNSURE else None
        work.decide(index, decision, draft)
        self._opens = False
        self._shared.note(work.volume)
        self._volumes.save()

    def _decide_extras(self) -> None:
        """Save slices that were not asked for and show an object; others become as they were."""
        work = self._work
        if work is None:
            return
        for index, draft in list(work.volume.unsaved.drafts.items()):
            if index in work.volume.asked or index in work.volume.conflicts:
                continue
            if self._shows_object(draft.plane):
                self._decide(index, draft.plane, EXTRA)
            else:
                work.put(index, partial(work.volume.give_up_extra, index))

    def _write_down_time(self) -> None:
        """Write down the time at slices that were looked at again and left as they were."""
        work = self._work
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
            self._decide(index, volume.decided(index), state)

    def _suggest(self, suggest: Callable[[OpenVolume, int], np.ndarray | None]) -> Outcome:
        work = self._act()
        assert self.current is not None
        index = self.current[1]
        if index in work.volume.conflicts:
            return Outcome(Result.STAYED, _CONFLICT)
        plane = suggest(work.volume, index)
        if plane is None:
            return Outcome(Result.STAYED, "no slice with an object is annotated in this volume yet")
        self.shown = index
        work.put(index, partial(work.volume.put, index, plane, self._annotator))
        return Outcome(Result.STAYED)

    def _settled(self, work: WorkedVolume, campaign: Campaign) -> None:
        """Take over what files hold after a volume was written."""
        if len(campaign.rounds) != len(self.campaign.rounds):
            self.campaign = campaign
            for other in self._volumes.all:
                other.volume.follow(campaign)
            self._read_anew()
        self._shared.note(work.volume)
        try:
            self._times = slice_totals(read_times(campaign))
        except SparseError as error:
            self._notices["times"] = str(error)

    def _read_anew(self) -> None:
        """Read how far others have come."""
        try:
            self._shared.read(self.campaign, [work.volume for work in self._volumes.all])
        except SparseError as error:
            self._notices["worklist"] = str(error)
        else:
            self._notices.pop("worklist", None)

    def _note_refusal(self, case_id: str, error: SparseError) -> None:
        """A case that cannot be opened is not offered again."""
        if not isinstance(error, TakenError):
            self.blocked[case_id] = str(error)

    def _read_ahead(self) -> None:
        """Let the system read the files of the volume that comes next."""
        assert self._work is not None
        key = self.queue.following(None, {**self.blocked, self._work.case_id: ""})
        if key is not None:
            files = self.campaign.image_files(key[0])
            read_ahead([*files, self.campaign.label_file(key[0])])

    @property
    def _bookmark(self) -> Path:
        """File in which it stands where this annotator was."""
        digest = hashlib.sha256(self._annotator.encode()).hexdigest()[:12]
        return self.campaign.label_folder / f".nnsparse_left_{digest}.json"
