"""What a label says about the slices of its volume: which are annotated, and which are not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class PredictedState:
    """What a network predicted on slices that are asked for, and what people say of it.

    Attributes
    ----------
    planes
        Labels that stand in the prefilled label, by slice.
    accepted
        Slices of which people say that what the label holds is right.
    may_be_erased
        Whether the annotation began with these labels, so that where one is gone somebody has
        removed it.
    """

    planes: Mapping[int, np.ndarray] = field(default_factory=dict)
    accepted: Collection[int] = ()
    may_be_erased: bool = False

    def state_of(self, i: int, plane: np.ndarray, confirmed: Collection[int]) -> str | None:
        """State of a slice, by name; None where that does not depend on a prediction."""
        if not plane.any():
            erased = self.may_be_erased and i in self.planes and self.planes[i].any()
            return "empty" if i in self.accepted or erased else None
        if i in self.planes and np.array_equal(plane, self.planes[i]):
            if i in confirmed:
                return "contradictory"
            return "done" if i in self.accepted else "predicted"
        return None


@dataclass(frozen=True)
class SliceStates:
    """Slices of a volume by what their label holds; each list ascends.

    Attributes
    ----------
    todo
        Asked for, and as prefilled: background only, which nobody has confirmed.
    done
        Asked for and annotated.
    empty
        Asked for, background only, and confirmed to show no object.
    skipped
        Asked for, and ``ignore`` in all voxels: the annotator could not tell, or it was never
        prefilled.
    unfinished
        Asked for, with objects, but ``ignore`` in all other voxels, where background belongs.
    extra
        Not asked for, with an object.
    cleared
        Not asked for, without an object, but not ``ignore`` either: nobody has said that they show
        none.
    contradictory
        Confirmed to show no object, but with an object, or ``ignore`` in all voxels.
    predicted
        Asked for, and with the objects that a network predicted and that were prefilled: nobody has
        changed or confirmed them.
    """

    todo: tuple[int, ...] = ()
    done: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    unfinished: tuple[int, ...] = ()
    extra: tuple[int, ...] = ()
    cleared: tuple[int, ...] = ()
    contradictory: tuple[int, ...] = ()
    predicted: tuple[int, ...] = ()

    @property
    def num_asked(self) -> int:
        """Number of slices that were asked for."""
        return len(self.annotated) + len(self.missing)

    @property
    def annotated(self) -> tuple[int, ...]:
        """Slices asked for that are annotated, ascending."""
        return tuple(sorted((*self.done, *self.empty, *self.contradictory)))

    def with_confirmed(self, slices: Collection[int]) -> "SliceStates":
        """The same, after slices that are as prefilled were confirmed to show no object."""
        return replace(
            self,
            todo=tuple(i for i in self.todo if i not in slices),
            empty=tuple(sorted({*self.empty, *(set(self.todo) & set(slices))})),
        )

    @property
    def missing(self) -> tuple[int, ...]:
        """Slices asked for that are not annotated, ascending."""
        return tuple(sorted((*self.todo, *self.skipped, *self.unfinished, *self.predicted)))

    @property
    def summary(self) -> str:
        """State of the volume: ``todo``, ``touched``, ``done`` or ``confirmed empty``."""
        if not self.annotated and not self.unfinished and not self.skipped:
            return "todo"
        if self.missing:
            return "touched"
        return "done" if self.done or self.contradictory else "confirmed empty"

    def of_slice(self, index: int) -> str:
        """State of a slice that was asked for, as in the worklist."""
        for state in ("todo", "predicted", "empty", "skipped", "unfinished"):
            if index in getattr(self, state):
                return status_text(state)
        return "done"


FINISHED_STATUSES = frozenset({"done", "confirmed empty"})
"""What the worklist says of slices on which nothing is to be done."""


def status_text(state: str) -> str:
    """What the worklist says of a slice that was asked for, by the name of its state."""
    if state in {"skipped", "unfinished"}:
        return "touched"
    return {"todo": "todo", "predicted": "todo", "empty": "confirmed empty"}.get(state, "done")


def slice_states(
    label: np.ndarray,
    axis: int,
    asked: Collection[int],
    confirmed: Collection[int],
    ignore_label: int,
    predicted: PredictedState | None = None,
) -> SliceStates:
    """Find the state of every slice of a label.

    Parameters
    ----------
    label
        (z, y, x) integers.
    axis
        Slice axis.
    asked
        Slices that were asked for.
    confirmed
        Those that were confirmed to show no object.
    ignore_label
        Value of voxels that are not annotated.
    predicted
        What a network predicted; None for nothing.
    """
    predicted = predicted or PredictedState()
    found: dict[str, list[int]] = {}
    for i, plane in enumerate(np.moveaxis(label, axis, 0)):
        state = state_of_slice(i, plane, i in asked, confirmed, ignore_label, predicted)
        if state is not None:
            found.setdefault(state, []).append(i)
    return SliceStates(**{name: tuple(indices) for name, indices in found.items()})


def state_of_slice(
    i: int,
    plane: np.ndarray,
    asked: bool,
    confirmed: Collection[int],
    ignore_label: int,
    predicted: PredictedState,
) -> str | None:
    """Find the state of slice ``i``, (rows, columns), as :func:`slice_states` does."""
    state = predicted.state_of(i, plane, confirmed) if asked else None
    return state or state_of_plane(plane, asked, i in confirmed, ignore_label)


def state_of_plane(
    plane: np.ndarray, asked: bool, confirmed: bool, ignore_label: int
) -> str | None:
    """Find the state of one slice.

    Parameters
    ----------
    plane
        (rows, columns) integers.
    asked
        Whether it was asked for.
    confirmed
        Whether it was confirmed to show no object.
    ignore_label
        Value of voxels that are not annotated.

    Returns
    -------
    str or None
        Name of a field of :class:`SliceStates`; None for a slice that was not asked for and is not
        annotated.
    """
    ignored = plane == ignore_label
    all_ignored, any_ignored = bool(ignored.all()), bool(ignored.any())
    if all_ignored and not asked:  # most of the slices of a volume
        return None
    background = bool((plane == 0).any())
    objects = bool(((plane != 0) & ~ignored).any())
    if not asked:
        return "extra" if objects else "cleared"
    if objects and not background and any_ignored:
        return "unfinished"
    if objects:
        return "contradictory" if confirmed else "done"
    if confirmed:
        return "contradictory" if all_ignored else "empty"
    return "skipped" if all_ignored else "done" if any_ignored else "todo"
