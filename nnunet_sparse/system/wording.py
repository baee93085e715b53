"""Words for messages."""

from collections.abc import Sequence


def first_of(items: Sequence[object], most: int) -> str:
    """The first items, separated by commas; an ellipsis says that there are more.

    Parameters
    ----------
    items
        Anything with a text.
    most
        How many are named.
    """
    return ", ".join(map(str, items[:most])) + (", ..." if len(items) > most else "")
