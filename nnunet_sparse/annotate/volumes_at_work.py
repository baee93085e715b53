"""The volume that is open, and those that were left and are still being written."""

from collections.abc import Callable
from concurrent.futures import Executor

from nnunet_sparse.annotate.lease import Holder
from nnunet_sparse.annotate.slice_work import Confirmed
from nnunet_sparse.annotate.worked_volume import WorkedVolume
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.system.errors import SparseError

RETRY_S = 10.0
"""How long after a failure decisions are written again."""


class VolumesAtWork:
    """The volumes of a session.

    Parameters
    ----------
    holder
        The session.
    now
        Seconds on a clock that is never set back.
    executor
        Where files are compressed and written, one job after the other.
    settled
        Called with a volume, and the campaign as its file is now, after decisions were written.

    Attributes
    ----------
    current
        The one that is open; None if there is none.
    """

    def __init__(
        self,
        holder: Holder,
        now: Callable[[], float],
        executor: Executor,
        settled: Callable[[WorkedVolume, Campaign], None],
    ) -> None:
        self._holder, self._now, self._executor, self._settled = holder, now, executor, settled
        self.current: WorkedVolume | None = None
        self._leaving: list[WorkedVolume] = []
        self._geometries: dict[str, Geometry] = {}
        self._saved_at = now()

    @property
    def all(self) -> list[WorkedVolume]:
        """Those that were left and are being written, and the one that is open."""
        return [*self._leaving, *([] if self.current is None else [self.current])]

    @property
    def problems(self) -> list[str]:
        """What could not be written, and where another program has written as well."""
        lines = [line for work in self.all for line in work.problems.values()]
        return lines + [
            f"slice {index} of {work.case_id} was changed by another program as well: keep one"
            for work in self.all
            for index in sorted(work.volume.conflicts)
        ]

    def open(self, campaign: Campaign, case_id: str, confirmed: Confirmed) -> WorkedVolume:
        """Open a volume in place of the one that is open; raises as :class:`WorkedVolume`."""
        self.leave()
        for work in [work for work in self._leaving if work.case_id == case_id]:
            work.settle_wholly(self._start)
            self._settle(work)
            if "strokes" in work.problems:
                raise SparseError(work.problems["strokes"])
            if work in self._leaving:  # its journal has what could not be written
                work.release()
                self._leaving.remove(work)
        self.current = WorkedVolume(campaign, case_id, confirmed, self._holder, self._now)
        return self.current

    def leave(self) -> None:
        """Leave the volume that is open: it is given back as soon as its decisions are written."""
        if self.current is None:
            return
        work, self.current = self.current, None
        work.keep_unsaved()
        work.volume.let_go()
        self._leaving.append(work)
        self._start(work)
        self._settle(work)

    def save(self) -> None:
        """Begin to write what is decided."""
        self._saved_at = self._now()
        for work in self.all:
            if "strokes" in work.problems:
                work.keep_unsaved()
            self._start(work)
            self._settle(work)

    def tick(self) -> None:
        """What is to be done every second."""
        for work in self.all:
            work.record_strokes()
            work.beat()
            self._settle(work)
        if self._now() - self._saved_at >= RETRY_S:
            self.save()

    def keep(self) -> list[str]:
        """Bring all that is not saved into the journals; what could not be written."""
        for work in self.all:
            work.keep_unsaved()
        return [work.problems["strokes"] for work in self.all if "strokes" in work.problems]

    def close(self) -> list[str]:
        """Write all and give all back; what could not be written."""
        self.leave()
        problems = list[str]()
        for work in list(self._leaving):
            campaign = work.settle_wholly(self._start)
            if campaign is not None:
                self._settled(work, campaign)
            work.release()
            problems += work.problems.values()
        self._leaving.clear()
        return list(dict.fromkeys(problems))

    def _start(self, work: WorkedVolume) -> None:
        work.start_saving(self._executor, self._geometries)

    def _settle(self, work: WorkedVolume) -> None:
        campaign = work.settle()
        if campaign is not None:
            self._settled(work, campaign)
        if work in self._leaving and work.is_idle:
            work.release()
            self._leaving.remove(work)
