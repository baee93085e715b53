"""Words for messages."""

from collections.abc import Sequence

_MOST_LETTERS = 120


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


def brief(value: object) -> str:
    """A value as Python writes it, cut where it would fill the screen."""
    text = repr(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]} ..."
