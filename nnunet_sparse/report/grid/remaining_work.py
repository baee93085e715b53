"""What is left to be done in a campaign, and how many more slices a time buys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.cost_fit import Pace
from nnunet_sparse.campaign.progress import CampaignProgress, find_progress
from nnunet_sparse.campaign.second_reading import read_second
from nnunet_sparse.selection.budget import num_annotated_slices
from nnunet_sparse.selection.choose_slices import choose_volumes
from nnunet_sparse.system.errors import SparseError


@dataclass(frozen=True)
class RemainingWork:
    """What is asked for and not annotated in a campaign, and what could be asked for.

    Attributes
    ----------
    campaign
        The campaign.
    num_open, num_opened
        Slices that are asked for and not annotated, second readings among them, and the volumes
        that have to be opened for them.
    taken
        Number of slices of each volume that are asked for or annotated, by case ID; without volumes
        of weight 0.
    share
        Share of further slices that another annotator is asked for as well.
    """

    campaign: Campaign
    num_open: int
    num_opened: int
    taken: Mapping[str, int]
    share: float

    @cached_property
    def order(self) -> list[str]:
        """Volumes in the order in which smaller shares of them get slices."""
        return choose_volumes(list(self.taken), 1.0, self.campaign.rounds[0].variant.seed)

    @cached_property
    def num_slices(self) -> dict[str, int]:
        """Length of the slice axis of each volume, in that order."""
        return {case_id: self.campaign.volumes[case_id].num_slices for case_id in self.order}

    @cached_property
    def free(self) -> int:
        """Number of slices that could be asked for."""
        return sum(self.num_slices.values()) - sum(self.taken.values())

    @property
    def num_begun(self) -> int:
        """Number of the first volumes in this order among which are all that have slices."""
        return max((number for number, c in enumerate(self.order, 1) if self.taken[c]), default=1)

    def seconds(self, pace: Pace) -> float:
        """Time for what is asked for."""
        return pace.seconds(self.num_open, self.num_opened)

    def affordable(self, seconds: float, pace: Pace) -> int:
        """How many more slices a time buys, spread over all volumes, after what is asked for."""
        left, least, most = seconds - self.seconds(pace), 0, self.free
        while least < most:
            middle = (least + most + 1) // 2
            if self._seconds_of(middle, pace) <= left:
                least = middle
            else:
                most = middle - 1
        return least

    def _seconds_of(self, number: int, pace: Pace) -> float:
        again = num_annotated_slices(self.share, number) if self.share else 0
        volumes = sum(min(count, len(self.order)) for count in (number, again))
        return pace.seconds(number + again, volumes)


def remaining_work(campaign: Campaign, num_processes: int) -> RemainingWork:
    """Read how far a campaign has come.

    Raises
    ------
    SparseError
        If an annotation cannot be read: what is annotated is not known then.
    """
    progress = _readable(campaign, num_processes)
    taken = {
        case_id: len({*campaign.asked(case_id), *_extra(progress, case_id)})
        for case_id, volume in campaign.volumes.items()
        if volume.weight
    }
    missing = [case.states.missing for case in progress.cases.values()]
    second = read_second(campaign)
    if second is not None:
        missing += [c.states.missing for c in _readable(second, num_processes).cases.values()]
    return RemainingWork(
        campaign,
        sum(map(len, missing)),
        sum(map(bool, missing)),
        taken,
        campaign.rounds[0].second_share,
    )


def _readable(campaign: Campaign, num_processes: int) -> CampaignProgress:
    _, progress = find_progress(campaign, None, None, num_processes)
    if progress.unreadable:
        reason = progress.unreadable[0]
        raise SparseError(f"{reason}; how much is left is not known until that is set right")
    return progress


def _extra(progress: CampaignProgress, case_id: str) -> Sequence[int]:
    case = progress.cases.get(case_id)
    return () if case is None else case.states.extra
