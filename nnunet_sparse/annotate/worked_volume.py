"""A volume under a lease: what is painted goes into its journal, what is decided into its label."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

from nnunet_sparse.annotate.journal import Journal, find_journals, read_journal
from nnunet_sparse.annotate.label_saving import Saved, Saving, check_annotated_here, save
from nnunet_sparse.annotate.lease import BEAT_S, Holder, Lease, take_lease
from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.slice_work import Confirmed, Decision, Draft
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.system.errors import SparseError, os_error_message

logger = logging.getLogger(__name__)

STROKES_S = 2.0
"""How much time passes at least between two records of strokes."""


class TakenError(SparseError):
    """Somebody else has the volume open."""


class WorkedVolume:
    """An open volume, its lease, its journal, and what is being written of it.

    Parameters
    ----------
    campaign
        The campaign.
    case_id
        The case.
    confirmed
        What the worklist says of its slices.
    holder
        This session.
    now
        Seconds on a clock that is never set back.

    Attributes
    ----------
    volume
        Images, label, and what is unsaved.
    problems
        What could not be written, by what it is.

    Raises
    ------
    TakenError
        If somebody else has it open.
    SparseError
        If it cannot be read, or is annotated in other files.
    OSError
        If the folder of the labels cannot be written to.
    """

    def __init__(
        self,
        campaign: Campaign,
        case_id: str,
        confirmed: Confirmed,
        holder: Holder,
        now: Callable[[], float],
    ) -> None:
        self._now, self.case_id, self.problems = now, case_id, dict[str, str]()
        folder = campaign.label_folder
        folder.mkdir(exist_ok=True)
        self._file = campaign.label_file(case_id)
        self._seen = self._looked_at = _signature(self._file)
        taken = take_lease(folder, case_id, holder)
        if isinstance(taken, Holder):
            raise TakenError(f"{case_id} is open: {taken.who} works on it")
        self.lease: Lease = taken
        try:
            check_annotated_here(campaign, case_id)
            self.volume = OpenVolume(campaign, case_id, confirmed)
            self._journal = Journal(folder, case_id, holder.token)
            self._take_over(campaign)
        except BaseException:
            self.lease.release()
            raise
        self._unwritten = set[int]()
        self._recorded = self._beaten = now()
        self._saving: Future[Saved] | None = None
        self._written: dict[int, Decision] = {}
        self._is_lost = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being written, or is to be."""
        return not (self._saving or self.volume.unsaved.decisions or "strokes" in self.problems)

    def being_written(self, index: int) -> Decision | None:
        """Decision on a slice that the job that is going on writes."""
        return self._written.get(index) if self._saving else None

    def paint(self, index: int, annotator: str) -> str | None:
        """Take what was painted on a slice of the label; what was not accepted, and why."""
        changed, message = self.volume.take_strokes(index, annotator)
        if changed:
            self._unwritten.add(index)
            self.record_strokes()
        return message

    def put(self, index: int, draft: Callable[[], None]) -> None:
        """Change the draft of a slice, and record it at once."""
        draft()
        self._unwritten.add(index)
        self.record_strokes(at_once=True)

    def record_strokes(self, at_once: bool = False) -> None:
        """Write strokes into the journal, unless it was written to a moment ago."""
        if not self._unwritten or not (at_once or self._now() - self._recorded >= STROKES_S):
            return
        unsaved = self.volume.unsaved
        with _Problem(self.problems, "strokes", "; they are kept here as long as this is open"):
            for index in sorted(self._unwritten):
                self._journal.draft(index, unsaved.drafts.get(index), unsaved)
                self._unwritten.discard(index)
        self._recorded = self._now()

    def add_seconds(self, index: int, seconds: float) -> None:
        """Time at work on a slice that no decision holds yet."""
        if seconds:
            spent = self.volume.unsaved.seconds
            spent[index] = spent.get(index, 0.0) + seconds

    def decide(self, index: int, decision: Decision, draft: Draft | None = None) -> None:
        """Take a decision on a slice; it is in the journal when this returns."""
        self.volume.decide(index, decision, draft)
        unsaved = self.volume.unsaved
        with _Problem(self.problems, "strokes", "; they are kept here as long as this is open"):
            self._journal.decide(index, decision, unsaved)
            if draft is not None:
                self._journal.draft(index, unsaved.drafts[index], unsaved)
            self._unwritten.discard(index)

    def start_saving(self, executor: Executor, geometries: dict[str, Geometry]) -> None:
        """Write decisions in the background, unless that is going on.

        Where another program has written the file, what it holds is taken over.
        """
        volume = self.volume
        if self._saving is not None or self._is_lost:
            return
        self._looked_at = _signature(self._file)
        if not volume.unsaved.decisions and self._looked_at == self._seen:
            return
        decisions = dict(volume.unsaved.decisions)
        self._written = decisions
        saving = Saving(
            volume.campaign,
            self.case_id,
            volume.saved,
            volume.digest,
            decisions,
            self.lease,
            geometries,
        )
        self._saving = executor.submit(save, saving)

    def settle(self, wait: bool = False) -> Campaign | None:
        """Take over what was written in the background.

        Returns
        -------
        Campaign or None
            As its file is now; None if nothing was written since.
        """
        if self._saving is None or not (wait or self._saving.done()):
            return None
        saved = self._saving.result()
        self._saving = None
        self._seen = self._looked_at
        self.volume.settle(saved.written, saved.theirs, saved.digest, saved.conflicts)
        if saved.problem is None:
            self.problems.pop("label", None)
        else:
            self.problems["label"] = saved.problem
        if saved.written or saved.conflicts:
            self.keep_unsaved()
        return saved.campaign

    def settle_wholly(self, start: Callable[["WorkedVolume"], None]) -> Campaign | None:
        """Wait until all decisions are written, or cannot be; as :meth:`settle`."""
        campaign = self.settle(wait=True)
        if not self.is_idle:
            start(self)
            campaign = self.settle(wait=True) or campaign
        return campaign

    def keep_unsaved(self) -> None:
        """Bring the journal to what is not saved."""
        with _Problem(self.problems, "strokes", "; they are kept here as long as this is open"):
            self._journal.keep(self.volume.unsaved)
            self._unwritten.clear()

    def beat(self) -> None:
        """Renew the lease where it is time, and notice if somebody has taken it over."""
        if self._is_lost or self._now() - self._beaten < BEAT_S:
            return
        self._beaten = self._now()
        with _Problem(self.problems, "lease"):
            if not self.lease.renew():
                self._is_lost = True
                self.problems["label"] = (
                    f"{self.case_id} was taken over by another session: nothing more is written "
                    "into its label; what is not saved is kept in the journal beside it"
                )

    def release(self) -> None:
        """Give the volume back; what is not saved stays in the journal."""
        self.keep_unsaved()
        self._journal.close()
        self.lease.release()

    def _take_over(self, campaign: Campaign) -> None:
        """Go on with what sessions that have ended have left."""
        files = find_journals(campaign.label_folder, self.case_id)
        shape, dtype = self.volume.planes[0].shape, self.volume.label.dtype
        for file in files:
            self.volume.adopt(read_journal(file, shape, dtype, self.volume.names))
        if files:
            self._journal.keep(self.volume.unsaved)
            for file in files:
                if file != self._journal.file:
                    file.unlink(missing_ok=True)


def _signature(file: Path) -> tuple[int, int, int] | None:
    """By which it is seen that a file has been written; None if there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


class _Problem:
    """Turns an error of the file system within a block into a line that is shown until it is gone.

    Parameters
    ----------
    problems
        Where it goes, or is removed from.
    name
        Under which name.
    consequence
        What follows of it.
    """

    def __init__(self, problems: dict[str, str], name: str, consequence: str = "") -> None:
        self._problems, self._name, self._consequence = problems, name, consequence

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self._problems.pop(self._name, None)
            return False
        if not isinstance(error, OSError):
            return False
        self._problems[self._name] = f"{os_error_message(error)}{self._consequence}"
        return True
