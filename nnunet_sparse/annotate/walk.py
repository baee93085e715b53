"""The way of an annotator through the slices of a campaign."""

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from nnunet_sparse.annotate.bookmark import Bookmark
from nnunet_sparse.annotate.decisions import Decisions
from nnunet_sparse.annotate.lease import Holder
from nnunet_sparse.annotate.network_view import NetworkView
from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.read_ahead import read_ahead
from nnunet_sparse.annotate.shared_queue import SharedQueue
from nnunet_sparse.annotate.volumes_at_work import VolumesAtWork
from nnunet_sparse.annotate.worked_volume import TakenError, WorkedVolume
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.open_campaign import campaign_lock, open_campaign
from nnunet_sparse.campaign.slice_times import read_times, slice_totals
from nnunet_sparse.campaign.worklist import SliceKey
from nnunet_sparse.system.errors import SparseError, os_error_message


class Walk:
    """Which slice is worked on, and its volume.

    Parameters
    ----------
    folder
        The campaign's.
    annotator
        Who.
    now
        Seconds on a clock that is never set back.
    executor
        Where files are compressed and written.
    holder
        The session, as others see it.
    network
        Looks at the volumes; None for none. It is not asked in second readings: it may have learnt
        from the first ones.

    Attributes
    ----------
    campaign
        The campaign.
    current
        The slice that is to be annotated; None if there is none.
    shown
        Index of the slice that is looked at.
    blocked
        Cases that are not offered, and why.
    leaving
        Called before the volume is given up that is open.
    shared
        The queue.
    volumes
        The volume that is open, and those that are being written.
    decisions
        What is decided on them.
    times
        Seconds that slices took, where they were measured.
    notices
        Lines about files of the campaign that could not be written or read.

    Raises
    ------
    SparseError
        If the folder is no campaign, or the worklist cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        annotator: str,
        now: Callable[[], float],
        executor: Executor,
        holder: Holder,
        network: NetworkView | None = None,
    ) -> None:
        with campaign_lock(folder):
            self.campaign = open_campaign(folder, 1)
        self.times = slice_totals(read_times(self.campaign))
        self.shared = SharedQueue(self.campaign, annotator)
        self.network = None if self.campaign.is_second_reading else network
        self.blocked: dict[str, str] = {}
        self.current: SliceKey | None = None
        self.shown = 0
        self.notices: dict[str, str] = {}
        self.leaving: Callable[[], None] = lambda: None
        self.volumes = VolumesAtWork(holder, now, executor, self._settled)
        self.decisions = Decisions(self.volumes, self.shared, annotator, now)
        self._history: list[SliceKey] = []
        self._bookmark = Bookmark(self.campaign.label_folder, annotator)

    @property
    def work(self) -> WorkedVolume | None:
        """The volume that is open."""
        return self.volumes.current

    @property
    def has_offer(self) -> bool:
        """Whether a slice is open that can be offered."""
        return self.shared.queue.following(None, self.blocked, self.shared.withheld) is not None

    @property
    def num_withheld(self) -> int:
        """Number of open slices that this annotator is not offered."""
        return sum(map(self.shared.queue.is_open, self.shared.withheld))

    def act(self) -> WorkedVolume:
        """Somebody does something with the open volume."""
        self.decisions.act()
        assert self.work is not None, "no volume is open"
        return self.work

    def start(self) -> None:
        """Go on where the annotator was, or begin."""
        key = self._bookmark.read()
        queue = self.shared.queue
        if key is not None and key in queue.keys and key not in self.shared.withheld:
            try:
                self.go(key)
            except SparseError as error:
                self._note_refusal(key[0], error)
            else:
                return
        self.advance()

    def advance(self) -> Outcome:
        """Show the next slice that is open, in a volume that can be opened."""
        before, busy = self.current, dict[str, str]()
        while True:
            queue = self.shared.queue
            taken = {**self.blocked, **busy}
            key = queue.following(self.current or before, taken, self.shared.withheld)
            if key is None:
                return self._finished(busy)
            try:
                self.go(key)
            except TakenError as error:
                busy[key[0]] = str(error)
                continue
            except SparseError as error:
                self._note_refusal(key[0], error)
                continue
            if self.shared.queue.is_open(key):
                break
            before = key
        if before is not None and before != self.current:
            self._history.append(before)
        return Outcome(Result.MOVED)

    def back(self) -> Outcome:
        """Show the slice before."""
        while self._history:
            key = self._history.pop()
            if key == self.current:
                continue
            try:
                self.go(key)
            except SparseError as error:
                return Outcome(Result.STAYED, str(error))
            return Outcome(Result.MOVED)
        return Outcome(Result.STAYED, "this is the first slice")

    def visit(self, key: SliceKey) -> Outcome:
        """Show another slice that was asked for."""
        if key not in self.shared.queue:
            return Outcome(Result.STAYED, f"slice {key[1]} of {key[0]} was not asked for")
        if key in self.shared.withheld:
            return Outcome(
                Result.STAYED, f"slice {key[1]} of {key[0]}: {self.shared.withheld[key]}"
            )
        before = self.current
        try:
            self.go(key)
        except SparseError as error:
            return Outcome(Result.STAYED, str(error))
        if before is not None and before != key:
            self._history.append(before)
        return Outcome(Result.MOVED)

    def go(self, key: SliceKey) -> None:
        """Show a slice; raises as :meth:`VolumesAtWork.open`."""
        case_id, index = key
        self.decisions.spend()
        self.decisions.take_extras()
        if self.work is None or self.work.case_id != case_id:
            self._leave_volume()
            self._read_anew()
            work = self.volumes.open(self.campaign, case_id, self.shared.confirmed[case_id])
            self.decisions.opens = True
            self.shared.note(work.volume)
            self._look_ahead()
        self.current, self.shown, self.decisions.index = key, index, index
        self._keep_place()

    def looks_again(self) -> bool:
        """Begin again after other slices were worked on, if something can be offered here."""
        try:
            self._follow(Campaign.read(self.campaign.folder))
        except SparseError as error:
            self.notices["campaign"] = str(error)
            return False
        self.notices.pop("campaign", None)
        self._read_anew()
        self.decisions.begin()
        return self.has_offer

    def rest(self) -> None:
        """Give up the volume that is open, while other slices are worked on."""
        self.decisions.spend()
        self.decisions.take_extras()
        self._leave_volume()

    def tick(self) -> None:
        """What is to be done every second."""
        self.volumes.tick()
        if "bookmark" in self.notices and self.current is not None:
            self._keep_place()

    def close(self) -> list[str]:
        """Write what is decided, and give the volumes back; what could not be written."""
        self.decisions.spend()
        self.decisions.take_extras()
        self.decisions.write_down_time()
        return self.volumes.close()

    def _leave_volume(self) -> None:
        self.decisions.write_down_time()
        self.current = self.decisions.index = None
        self.leaving()
        self.volumes.leave()

    def _finished(self, busy: dict[str, str]) -> Outcome:
        """Nothing more is offered: why."""
        left = self.shared.queue.num_open - self.num_withheld
        if not left:
            return Outcome(Result.FINISHED, "all slices that were asked for are annotated")
        reasons = "; ".join({**self.blocked, **busy}.values())
        return Outcome(Result.FINISHED, f"{left} slices are left: {reasons}")

    def _keep_place(self) -> None:
        """Write where this annotator is; the next session goes on there."""
        assert self.current is not None
        try:
            self._bookmark.keep(self.current)
        except OSError as error:
            self.notices["bookmark"] = os_error_message(error)
        else:
            self.notices.pop("bookmark", None)

    def _settled(self, work: WorkedVolume, campaign: Campaign) -> None:
        """Take over what files hold after a volume was written."""
        self._follow(campaign)
        self.shared.note(work.volume)
        try:
            self.times = slice_totals(read_times(campaign))
        except SparseError as error:
            self.notices["times"] = str(error)

    def _follow(self, campaign: Campaign) -> None:
        """Take over the rounds that the campaign has got."""
        if len(campaign.rounds) != len(self.campaign.rounds):
            self.campaign = campaign
            for other in self.volumes.all:
                other.volume.follow(campaign)
            self._read_anew()

    def _read_anew(self) -> None:
        """Read how far others have come."""
        try:
            self.shared.read(self.campaign, [work.volume for work in self.volumes.all])
        except SparseError as error:
            self.notices["worklist"] = str(error)
        else:
            self.notices.pop("worklist", None)

    def _note_refusal(self, case_id: str, error: SparseError) -> None:
        """A case that cannot be opened is not offered again."""
        if not isinstance(error, TakenError):
            self.blocked[case_id] = str(error)

    def _look_ahead(self) -> None:
        """Let the system read the files of the volume that comes next, and the network see both."""
        assert self.work is not None
        others = {**self.blocked, self.work.case_id: ""}
        key = self.shared.queue.following(None, others, self.shared.withheld)
        if key is not None:
            files = self.campaign.image_files(key[0])
            read_ahead([*files, self.campaign.label_file(key[0])])
        if self.network is not None:
            following = [] if key is None else [key[0]]
            self.network.look_at([self.work.case_id, *following])
