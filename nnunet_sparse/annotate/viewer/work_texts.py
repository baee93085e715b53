"""What the dock says of a slice and of the time."""

from nnunet_sparse.annotate.open_volume import OpenVolume

_STATES = {
    "done": "annotated",
    "contradictory": "annotated",
    "extra": "annotated, though it was not asked for",
    "empty": "confirmed: there is nothing here",
    "predicted": "as a network predicts: correct it, or confirm it",
}


def slice_state(volume: OpenVolume, index: int, is_free: bool) -> str:
    """How it stands with a slice, in words.

    Parameters
    ----------
    volume
        Its volume.
    index
        The slice.
    is_free
        Whether slices that were not asked for take paint.
    """
    if index in volume.conflicts:
        return "another program has changed it as well: keep one"
    if index in volume.unsaved.drafts:
        if index in volume.asked:
            return "painted, not saved yet: N saves it"
        return "painted, extra: it was not asked for"
    state = volume.state(index)
    if index in volume.asked:
        return _STATES.get(str(state), "to be annotated: paint, then press N")
    if state == "extra":
        return _STATES["extra"]
    return "not asked for: " + ("what you paint is extra" if is_free else "takes no paint")


def time_text(minutes: float, left: float | None) -> str:
    """Minutes so far, and those that are left."""
    so_far = f"{minutes:.0f} min so far"
    return so_far if left is None else f"{so_far}, about {left:.0f} min left"
