"""Words for messages."""

import shlex
from collections.abc import Sequence
from pathlib import Path

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


def command_line(*words: object) -> str:
    """A command for the shell, whatever its words hold.

    Parameters
    ----------
    words
        The command, and its arguments; paths may begin with a hyphen.
    """
    texts = (f"./{w}" if isinstance(w, Path) and str(w).startswith("-") else str(w) for w in words)
    return shlex.join(texts)


def brief(value: object) -> str:
    """A value as Python writes it, cut where it would fill the screen."""
    return cut(repr(value))


def cut(text: str) -> str:
    """A text, cut where it would fill the screen."""
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]} ..."


def duration(seconds: float) -> str:
    """Seconds as people say it: ``40 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
