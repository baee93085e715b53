"""The queue of a campaign on which several people work."""

from collections.abc import Iterable, Mapping

from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.slice_work import Confirmed
from nnunet_sparse.annotate.work_queue import WorkQueue
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.second_reading import withheld
from nnunet_sparse.campaign.worklist import SliceKey, read_worklist


class SharedQueue:
    """What the worklist says of slices, unless labels that were opened have said otherwise.

    Parameters
    ----------
    campaign
        The campaign.
    annotator
        Who is offered its slices.

    Attributes
    ----------
    queue
        Which slices are still to be annotated.
    confirmed
        What people say of slices, by case ID.
    notes
        What they have noted.
    withheld
        Slices that are not offered, and why: second readings of those who have read them first.

    Raises
    ------
    SparseError
        If the worklist cannot be read.
    """

    def __init__(self, campaign: Campaign, annotator: str = "") -> None:
        self._annotator = annotator
        # by slice: the worklist's status, and what the label said in spite of it
        self._known: dict[SliceKey, tuple[str, bool, bool]] = {}
        self._statuses: Mapping[SliceKey, str] = {}
        self.queue = WorkQueue(campaign, {})
        self.confirmed: dict[str, Confirmed] = {}
        self.notes: dict[SliceKey, str] = {}
        self.withheld: Mapping[SliceKey, str] = {}
        self.read(campaign, ())

    def read(self, campaign: Campaign, volumes: Iterable[OpenVolume]) -> None:
        """Read how far others have come; of volumes that are open here more is known.

        Raises
        ------
        SparseError
            If the worklist cannot be read; then all stays as it is.
        """
        answers = read_worklist(campaign)
        if campaign.is_second_reading:
            self.withheld = withheld(campaign, self._annotator)
        self._statuses = answers.statuses
        self.queue = WorkQueue(campaign, answers.statuses)
        self.confirmed = {
            case: Confirmed(answers.confirmed(case), answers.accepted(case))
            for case in campaign.asked_cases
        }
        self.notes = {
            (case, i): note
            for case in campaign.asked_cases
            for i, note in answers.notes(case).items()
        }
        for key, (status, is_open, is_unsure) in self._known.items():
            if self._statuses.get(key, "") == status and key in self.queue:
                self.queue.set_open(key, is_open, is_unsure)
        for volume in volumes:
            self.note(volume)

    def note(self, volume: OpenVolume) -> None:
        """Take over what an open volume says of its slices."""
        for index in volume.asked:
            key = volume.case_id, index
            is_open, is_unsure = volume.is_open(index), volume.state(index) == "skipped"
            if key in self.queue:
                self.queue.set_open(key, is_open, is_unsure)
            self._known[key] = self._statuses.get(key, ""), is_open, is_unsure
        self.confirmed[volume.case_id] = volume.confirmed
