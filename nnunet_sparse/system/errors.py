"""Errors that are meant for the person at the keyboard."""


class SparseError(ValueError):
    """A problem the user can solve: its message names the value, what would be right, and where.

    Commands print it as one line, ``error: ...``, and end with exit status 2.
    """
