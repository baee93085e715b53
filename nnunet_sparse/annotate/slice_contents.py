"""What the slices of a label hold: in its file, as decided, and as painted.

Another program may write the file, and another session may have left work of its own: both are
brought together here. A slice that two have changed is in *conflict* until somebody chooses.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from nnunet_sparse.annotate.journal import Unsaved
from nnunet_sparse.annotate.plane_store import PlaneStore, plane_check
from nnunet_sparse.annotate.slice_work import Decision, Draft


class SliceContents:
    """Slices of a label.

    Parameters
    ----------
    label
        (z, y, x) unsigned integers, as the file holds it.
    axis
        Slice axis.

    Attributes
    ----------
    saved
        What the label file holds.
    unsaved
        What is not in it.
    conflicts
        Slices of which the label file holds something else than what was painted on; their drafts
        are what was painted.
    """

    def __init__(self, label: np.ndarray, axis: int) -> None:
        self.saved = PlaneStore(label, axis)
        self.unsaved, self.conflicts = Unsaved(), set[int]()

    def __len__(self) -> int:
        return len(self.saved)

    def decided(self, index: int) -> np.ndarray:
        """A slice as the label file holds it, or will as soon as it is written."""
        decision = self.unsaved.decisions.get(index)
        return self.saved[index] if decision is None else decision.plane.copy()

    def is_decided_as(self, index: int, value: int) -> bool:
        """Whether a slice holds one value alone in the file, and nothing else is decided."""
        return index not in self.unsaved.decisions and self.saved.is_filled(index, value)

    def paint(self, index: int, plane: np.ndarray, annotator: str) -> None:
        """Keep how a slice looks as its draft."""
        before = self.unsaved.drafts.get(index)
        if before is None:
            draft = Draft(plane.copy(), plane_check(self.decided(index)), annotator)
        else:
            draft = replace(before, plane=plane.copy(), annotator=annotator)
        self.unsaved.drafts[index] = draft

    def suggest(self, index: int, plane: np.ndarray, annotator: str, origin: str) -> None:
        """Keep what a program proposes for a slice as its draft."""
        self.paint(index, plane, annotator)
        draft = self.unsaved.drafts[index]
        check = plane_check(plane)
        self.unsaved.drafts[index] = replace(draft, suggestion=check, origin=origin)

    def decide(self, index: int, decision: Decision, draft: Draft | None = None) -> None:
        """Take a decision; the draft is what stays painted and is not saved by it."""
        self.unsaved.decisions.pop(index, None)
        self.unsaved.decisions[index] = decision
        self.unsaved.drafts.pop(index, None)
        self.unsaved.seconds.pop(index, None)
        self.conflicts.discard(index)
        if draft is not None:
            self.unsaved.drafts[index] = draft.rebased(decision.plane)

    def settle(
        self,
        written: Mapping[int, Decision],
        theirs: PlaneStore | None,
        conflicts: Collection[int],
    ) -> list[int]:
        """Take over what the label file holds after decisions were written.

        Parameters
        ----------
        written, theirs, conflicts
            As for :meth:`OpenVolume.settle`.

        Returns
        -------
        list of int
            Slices that hold something else than before, but for those that were written.
        """
        before = self.saved
        if theirs is not None:
            self.saved = theirs
        for index in conflicts:
            self._hand_back(index)
        for index, decision in written.items():
            self.saved[index] = decision.plane
            now = self.unsaved.decisions.get(index)
            if now is not None and now.visit == decision.visit:
                del self.unsaved.decisions[index]
        changed = set(conflicts)
        if theirs is not None:
            changed |= {
                i for i in range(len(self)) if (before[i] != theirs[i]).any() and i not in written
            }
        for index in changed:
            self._check_base(index)
        return sorted(changed)

    def adopt(self, left: Unsaved) -> list[int]:
        """Take over what another session has left unsaved; slices that it holds."""
        held = sorted({*left.decisions, *left.drafts} & set(range(len(self))))
        for index in (i for i in left.decisions if i in held):
            decision = left.decisions[index]
            self.unsaved.drafts.pop(index, None)
            self.unsaved.seconds.pop(index, None)
            if decision.is_on(self.saved[index]):
                self.unsaved.decisions[index] = decision
            else:
                draft = Draft(decision.plane, decision.bases[0], decision.annotator)
                self.unsaved.drafts[index] = draft
                self.conflicts.add(index)
        for index in (i for i in left.drafts if i in held):
            self.unsaved.drafts[index] = left.drafts[index]
            self._check_base(index)
        for index, seconds in left.seconds.items():
            self.unsaved.seconds[index] = self.unsaved.seconds.get(index, 0.0) + seconds
        return held

    def resolve(self, index: int, mine: bool) -> None:
        """End a conflict: keep what was painted here as the draft, or what the file holds."""
        self.conflicts.discard(index)
        draft = self.unsaved.drafts.pop(index, None)
        if mine and draft is not None:
            self.unsaved.drafts[index] = draft.rebased(self.decided(index))

    def _hand_back(self, index: int) -> None:
        """Make a draft of a decision that was not written, since another program has changed it."""
        decision = self.unsaved.decisions.pop(index, None)
        if decision is not None and index not in self.unsaved.drafts:
            self.unsaved.drafts[index] = Draft(
                decision.plane, decision.bases[0], decision.annotator
            )
        if decision is not None and decision.seconds:
            spent = self.unsaved.seconds.get(index, 0.0)
            self.unsaved.seconds[index] = spent + decision.seconds
        self.conflicts.add(index)

    def _check_base(self, index: int) -> None:
        """Notice a draft that was painted on something else than what is decided now."""
        draft = self.unsaved.drafts.get(index)
        if draft is None:
            return
        now = self.decided(index)
        if plane_check(now) not in {draft.base, plane_check(draft.plane)}:
            self.conflicts.add(index)
