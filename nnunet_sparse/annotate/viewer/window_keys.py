"""The keys of the window."""

from typing import NamedTuple

from nnunet_sparse.annotate.display import CT_WINDOWS


class WindowKey(NamedTuple):
    """A key.

    Attributes
    ----------
    key
        As napari calls it.
    text
        What it does, as the dock shows it.
    action
        Method of the window.
    argument
        What the method is called with; nothing where it is empty.
    """

    key: str
    text: str
    action: str
    argument: str = ""


WORK_KEYS = (
    WindowKey("N", "next: save, and go on", "next"),
    WindowKey("Backspace", "back", "back"),
    WindowKey("O", "nothing here (no object)", "nothing_here"),
    WindowKey("U", "unsure: again at the end", "unsure"),
    WindowKey("C", "copy the nearest slice", "copy_nearest"),
    WindowKey("A", "propose; once more: accept", "propose"),
    WindowKey("I", "insert what another layer shows", "insert"),
    WindowKey("Y", "yes, it is meant so", "confirm"),
    WindowKey("R", "return to the slice", "return_to_slice"),
)
"""Shown as buttons, in this order."""

NETWORK_KEYS = (
    WindowKey("A", "propose by shape; once more: accept", "propose"),
    WindowKey("G", "what the network sees; once more: accept", "propose_network"),
)
"""In place of A where a trained network looks at the volumes."""

LOOK_KEYS = (
    WindowKey("PageUp", "look at the slice above", "look_beside", "1"),
    WindowKey("PageDown", "look at the slice below", "look_beside", "-1"),
    WindowKey("H", "show the next channel", "show_next_channel"),
    WindowKey("F5", "contrast of annotated slices", "use_window", ""),
)
"""Shown as text."""

CT_KEYS = tuple(
    WindowKey(f"F{number}", name, "use_window", name) for number, name in enumerate(CT_WINDOWS, 1)
)
"""For channels that are CTs."""


def work_keys(has_network: bool) -> tuple[WindowKey, ...]:
    """Keys that are shown as buttons."""
    if not has_network:
        return WORK_KEYS
    place = next(k for k, key in enumerate(WORK_KEYS) if key.key == "A")
    return *WORK_KEYS[:place], *NETWORK_KEYS, *WORK_KEYS[place + 1 :]
