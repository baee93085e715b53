"""A volume that is open: its images, the label that is painted on, and what of it is not saved."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nnunet_sparse.annotate.journal import Unsaved
from nnunet_sparse.annotate.plane_store import PlaneStore
from nnunet_sparse.annotate.slice_contents import SliceContents
from nnunet_sparse.annotate.slice_reasons import slice_reasons
from nnunet_sparse.annotate.slice_work import Confirmed, Decision, Draft
from nnunet_sparse.annotate.volume_files import read_saved, read_voxels
from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.predicted_slices import handed_out
from nnunet_sparse.campaign.slice_states import PredictedState, state_of_slice
from nnunet_sparse.system.errors import SparseError

ANNOTATED = frozenset({"done", "empty", "contradictory", "extra"})
"""States of slices that are annotated."""


class OpenVolume:
    """A volume on which somebody works.

    Parameters
    ----------
    campaign
        The campaign.
    case_id
        The case.
    confirmed
        What the worklist says of its slices.

    Attributes
    ----------
    images
        Each channel, (z, y, x), in the file's own type; they are not changed.
    label
        (z, y, x) unsigned integers, to be painted on; :meth:`take_strokes` is told of it.
    reasons
        Why each slice was asked for.

    Raises
    ------
    SparseError
        If an image or the label cannot be read, or they do not lie on each other.
    """

    def __init__(self, campaign: Campaign, case_id: str, confirmed: Confirmed) -> None:
        self.campaign, self.case_id, self.confirmed = campaign, case_id, confirmed
        self.taken_extra = set[int]()
        case = AnnotatedCase(campaign, case_id)
        with ThreadPoolExecutor(2) as readers:
            of_label = readers.submit(read_saved, campaign, case_id)
            self.images = tuple(readers.map(read_voxels, campaign.image_files(case_id)))
            self.label, self.digest = of_label.result()
        for file, image in zip(campaign.image_files(case_id), self.images, strict=True):
            if image.shape != case.shape:
                raise SparseError(f"{file} has shape {image.shape}, {case.image} {case.shape}")
        self.spacing_mm = case.geometry.spacing_mm or (1.0, 1.0, 1.0)
        self.names = case.names
        self._look_up(campaign)
        self._contents = SliceContents(self.label, campaign.axis)
        self._states = [self._state(i) for i in range(len(self))]
        for i in self.asked:
            self._show(i)

    def __len__(self) -> int:
        return len(self._contents)

    @property
    def saved(self) -> PlaneStore:
        """What the label file holds."""
        return self._contents.saved

    @property
    def unsaved(self) -> Unsaved:
        """What is not in the label file."""
        return self._contents.unsaved

    @property
    def conflicts(self) -> set[int]:
        """Slices that another program has changed as well, see :class:`SliceContents`."""
        return self._contents.conflicts

    @property
    def planes(self) -> np.ndarray:
        """The label with the slice axis first; a view."""
        return np.moveaxis(self.label, self.campaign.axis, 0)

    @property
    def plane_spacing_mm(self) -> tuple[float, float]:
        """Distance between the pixels of a slice, along rows and columns of the array."""
        first, second = (mm for k, mm in enumerate(self.spacing_mm) if k != self.campaign.axis)
        return first, second

    @property
    def asked(self) -> tuple[int, ...]:
        """Slices that were asked for."""
        return self.campaign.asked(self.case_id)

    def decided(self, index: int) -> np.ndarray:
        """A slice as the label file holds it, or will as soon as it is written."""
        return self._contents.decided(index)

    def state(self, index: int) -> str | None:
        """State of a slice, as in :func:`state_of_plane`, by what is decided."""
        return self._states[index]

    def is_open(self, index: int) -> bool:
        """Whether a slice that was asked for is still to be annotated."""
        return self._states[index] not in ANNOTATED

    def annotated(self, with_objects: bool = False) -> list[int]:
        """Slices that are annotated; those that show an object, if so wished."""
        states = {"done", "extra", "contradictory"} if with_objects else ANNOTATED
        return [i for i, state in enumerate(self._states) if state in states]

    def starting(self, index: int) -> np.ndarray:
        """How a slice looks before anything is painted on it.

        Where it is to be annotated and holds no background, ``ignore`` is shown as background: what
        is not painted will be background.
        """
        plane = self.decided(index)
        if (index in self.asked or index in self.taken_extra) and not (plane == 0).any():
            plane[plane == self.campaign.ignore_label] = 0
        return plane

    def shows_object(self, plane: np.ndarray) -> bool:
        """Whether anything is painted on a slice, (rows, columns)."""
        return bool(((plane != 0) & (plane != self.campaign.ignore_label)).any())

    def is_prediction(self, index: int, plane: np.ndarray) -> bool:
        """Whether a slice, (rows, columns), is as a network has predicted and it was prefilled."""
        predicted = self._predicted.get(index)
        return predicted is not None and bool(predicted.any()) and np.array_equal(plane, predicted)

    def looks(self, index: int) -> np.ndarray:
        """How a slice looks by what is known: as its draft, or as it starts; not to be changed."""
        draft = self.unsaved.drafts.get(index)
        return self.starting(index) if draft is None else draft.plane

    def is_painted(self, index: int) -> bool:
        """Whether the label shows something that :meth:`take_strokes` was not told of."""
        return not np.array_equal(self.planes[index], self.looks(index))

    def may_paint(self, index: int) -> bool:
        """Whether a slice takes paint."""
        return index in self.asked or index in self.taken_extra or self.state(index) == "extra"

    def take_strokes(self, index: int, annotator: str) -> tuple[bool, str | None]:
        """Look at what was painted on a slice of the label.

        What may not be painted goes back to what it was: voxels that have become ``ignore`` or hold
        a value that is no label, and all of a slice that takes no paint.

        Returns
        -------
        changed : bool
            Whether the draft of the slice is another one than before.
        message : str or None
            What was not accepted, and why.
        """
        plane = self.planes[index]
        shown = self.looks(index)
        if not self.may_paint(index):
            if not (plane != shown).any():
                return False, None
            plane[...] = shown
            return False, f"slice {index} was not asked for and takes no paint"
        message = None
        made = (plane == self.campaign.ignore_label) & (shown != plane)
        unknown = ~np.isin(plane, list(self.names))
        if made.any() or unknown.any():
            value = int(plane[unknown][0]) if unknown.any() else self.campaign.ignore_label
            name = "is no label" if unknown.any() else "is ignore, which is not painted"
            message = f"the value {value} {name}"
            wrong = made | unknown
            plane[wrong] = shown[wrong]
        if not (plane != shown).any():
            return False, message
        if index not in self.conflicts and np.array_equal(plane, self.starting(index)):
            self.unsaved.drafts.pop(index, None)
        else:
            self._contents.paint(index, plane, annotator)
        return True, message

    def put(self, index: int, plane: np.ndarray, annotator: str, origin: str = "") -> None:
        """Show a suggestion on a slice, as its draft; ``origin`` as of :class:`Draft`."""
        self.planes[index] = plane
        self._contents.suggest(index, plane, annotator, origin)

    def take_extra(self, index: int) -> None:
        """Let a slice that was not asked for be annotated as a whole: unpainted is background."""
        self.taken_extra.add(index)
        plane = self.planes[index]
        plane[plane == self.campaign.ignore_label] = 0

    def give_up_extra(self, index: int) -> None:
        """Bring a slice that was not asked for back to what the label file holds."""
        self.taken_extra.discard(index)
        self.resolve(index, mine=False)

    def follow(self, campaign: Campaign) -> None:
        """Take over the rounds that a campaign has got."""
        self.campaign = campaign
        self._look_up(campaign)
        for index in range(len(self)):
            self._refresh(index)

    def decide(self, index: int, decision: Decision, draft: Draft | None = None) -> None:
        """Take a decision; the draft is what stays painted and is not saved by it."""
        self._contents.decide(index, decision, draft)
        self.confirmed = self.confirmed.after(index, decision)
        self._refresh(index)

    def settle(
        self,
        written: Mapping[int, Decision],
        theirs: PlaneStore | None,
        digest: str | None,
        conflicts: Collection[int],
    ) -> None:
        """Take over what the label file holds after decisions were written.

        Parameters
        ----------
        written
            Decisions that are in the file, in table and worklist.
        theirs
            What the file held that another program had changed; None if none had.
        digest
            Of the file; None if there is none.
        conflicts
            Slices with a decision that was not written: the other program had changed them, too.
        """
        self.digest = digest
        changed = self._contents.settle(written, theirs, conflicts)
        for index in written:  # what is painted there meanwhile stays
            self._states[index] = self._state(index)
        for index in changed:
            self._refresh(index)

    def adopt(self, left: Unsaved) -> None:
        """Take over what another session has left unsaved."""
        changed = self._contents.adopt(left)
        for index, decision in left.decisions.items():
            if self.unsaved.decisions.get(index) is decision:
                self.confirmed = self.confirmed.after(index, decision)
        self.taken_extra |= {i for i in changed if i in left.drafts and i not in self.asked}
        for index in changed:
            self._refresh(index)

    def resolve(self, index: int, mine: bool) -> None:
        """End a conflict: keep what was painted here as the draft, or what the file holds."""
        self._contents.resolve(index, mine)
        self._refresh(index)

    def _look_up(self, campaign: Campaign) -> None:
        """Read what the campaign says of slices."""
        self._predicted = handed_out(campaign, self.case_id)
        self.reasons = slice_reasons(campaign, self.case_id)

    def let_go(self) -> None:
        """Free images and label; what is unsaved stays."""
        self.images = ()
        self.label = np.empty((0, 0, 0), self.label.dtype)

    def _refresh(self, index: int) -> None:
        self._states[index] = self._state(index)
        self._show(index)

    def _show(self, index: int) -> None:
        """Show a slice as its draft, or as it is decided."""
        if not self.label.size:
            return
        self.planes[index] = self.looks(index)

    def _state(self, index: int) -> str | None:
        is_asked, ignore = index in self.asked, self.campaign.ignore_label
        if not is_asked and self._contents.is_decided_as(index, ignore):
            return None  # most of the slices of a volume
        return state_of_slice(
            index,
            self.decided(index),
            is_asked,
            self.confirmed.empty,
            ignore,
            PredictedState(self._predicted, self.confirmed.right, may_be_erased=True),
        )
