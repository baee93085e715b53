"""Work on a slice: what was painted and is not saved, and what is to be saved."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnunet_sparse.annotate.plane_store import plane_check
from nnunet_sparse.campaign.slice_times import EMPTY
from nnunet_sparse.system.spreadsheet_cells import is_missing


@dataclass(frozen=True)
class Confirmed:
    """What people say of slices of a volume, which its label cannot tell.

    Attributes
    ----------
    empty
        Slices that show no object.
    right
        Slices on which that is right what a network has predicted.
    """

    empty: frozenset[int] = frozenset()
    right: frozenset[int] = frozenset()

    def after(self, index: int, decision: "Decision") -> "Confirmed":
        """The same after a decision on a slice."""
        empty = {index} if decision.state == EMPTY else set[int]()
        right = {index} if decision.confirms_prediction else set[int]()
        return Confirmed((self.empty - {index}) | empty, self.right | right)


@dataclass(frozen=True)
class Draft:
    """What was painted on a slice and is not saved.

    Attributes
    ----------
    plane
        (rows, columns), the slice as it looks.
    base
        :func:`plane_check` of the saved slice on which it was painted.
    annotator
        Who painted it.
    suggestion
        :func:`plane_check` of a proposal or copy that was taken; None without one.
    origin
        Trained network that has proposed it; empty if none has.
    """

    plane: np.ndarray
    base: int
    annotator: str
    suggestion: int | None = None
    origin: str = ""

    @property
    def is_untouched_suggestion(self) -> bool:
        """Whether nothing was painted on what a program has proposed."""
        return self.suggestion is not None and plane_check(self.plane) == self.suggestion

    @property
    def provenance(self) -> str:
        """What is noted of a slice for which a network has proposed something."""
        if not self.origin:
            return ""
        how = "accepted" if self.is_untouched_suggestion else "corrected"
        return f"proposal of a network {how}: {self.origin}"

    def rebased(self, plane: np.ndarray) -> "Draft":
        """The same on another saved slice."""
        return replace(self, base=plane_check(plane))


@dataclass(frozen=True)
class Decision:
    """What somebody has decided on a slice, which is to be saved.

    Attributes
    ----------
    plane
        (rows, columns), what the label is to hold.
    bases
        :func:`plane_check` of the slice as the label file may hold it: as it was read or written
        last, and as it is being written.
    state
        ``done``, ``confirmed empty``, ``unsure`` or ``extra``, as in ``slice_times.csv``.
    visit
        Names it, so that its time is written once.
    annotator
        Who has decided.
    seconds
        Time at work that is not written down yet.
    was_confirmed
        Whether the worklist said that the slice shows no object.
    note
        For the worklist.
    distance
        In slices, to the nearest one with objects that was annotated before; None if there was
        none.
    opens
        Whether it is the first one of its volume in a session.
    confirms_prediction
        Whether it says that what a network has predicted, and was prefilled, is right.
    """

    plane: np.ndarray
    bases: tuple[int, ...]
    state: str
    visit: str
    annotator: str
    seconds: float
    was_confirmed: bool = False
    note: str = ""
    distance: int | None = None
    opens: bool = False
    confirms_prediction: bool = False

    def to_json(self) -> dict[str, Any]:
        """All but the plane."""
        return {key: value for key, value in vars(self).items() if key != "plane"}

    def is_on(self, plane: np.ndarray) -> bool:
        """Whether it was taken on this content of the label file, or is that."""
        return plane_check(plane) in {*self.bases, plane_check(self.plane)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], plane: np.ndarray) -> "Decision":
        """Inverse of :meth:`to_json`."""
        return cls(plane=plane, **{**content, "bases": tuple(content["bases"])})


def joined_notes(before: str, note: str) -> str:
    """What is noted of a slice, and a note that is added once."""
    if not note or note in before:
        return before
    return note if is_missing(before) else f"{before.strip()}; {note}"
