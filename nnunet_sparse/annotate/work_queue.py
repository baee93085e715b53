"""The slices that are still to be annotated, in the order of the worklist."""

from collections.abc import Collection, Container, Mapping

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.slice_states import FINISHED_STATUSES
from nnunet_sparse.campaign.worklist import SliceKey, work_order

_LATER = "touched"


class WorkQueue:
    """Which slice comes next.

    Open slices come in the order of the worklist; those that somebody was unsure of come again
    when there is no other one.

    Parameters
    ----------
    campaign
        The campaign.
    statuses
        What the worklist says of slices; :meth:`set_open` knows better.
    """

    def __init__(self, campaign: Campaign, statuses: Mapping[SliceKey, str]) -> None:
        lines = ((line.case_id, line.slice_index) for line in work_order(campaign))
        self.keys = tuple(dict.fromkeys(lines))
        self._places = {key: place for place, key in enumerate(self.keys)}
        self._open = {
            key for key in self.keys if statuses.get(key, "todo") not in FINISHED_STATUSES
        }
        self._unsure = {key for key in self._open if statuses.get(key) == _LATER}

    def __contains__(self, key: SliceKey) -> bool:
        return key in self._places

    @property
    def num_open(self) -> int:
        """Number of slices that are not annotated."""
        return len(self._open)

    def is_open(self, key: SliceKey) -> bool:
        """Whether a slice is still to be annotated."""
        return key in self._open

    def is_unsure(self, key: SliceKey) -> bool:
        """Whether a slice that is to be annotated comes at the end."""
        return key in self._unsure

    def set_open(self, key: SliceKey, is_open: bool, is_unsure: bool = False) -> None:
        """Say how it stands with a slice that was asked for."""
        for keys, belongs in ((self._open, is_open), (self._unsure, is_open and is_unsure)):
            (keys.add if belongs else keys.discard)(key)

    def following(
        self,
        key: SliceKey | None,
        blocked: Container[str] = (),
        passed: Collection[SliceKey] = (),
    ) -> SliceKey | None:
        """The slice that comes after another one; None if none is left.

        Parameters
        ----------
        key
            The slice before; None for the first one.
        blocked
            Cases that are not offered.
        passed
            Slices that are not offered.
        """
        place = -1 if key is None else self._places.get(key, -1)
        ahead = (*self.keys[place + 1 :], *self.keys[: place + 1])
        offered = [k for k in ahead if k in self._open and k[0] not in blocked and k not in passed]
        sure = [k for k in offered if k not in self._unsure]
        return next(iter(sure or offered), None)
