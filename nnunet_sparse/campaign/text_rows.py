"""Rows of texts as lines whose columns stand below each other."""

from collections.abc import Sequence


def aligned_rows(rows: Sequence[Sequence[str]]) -> str:
    """Lines of a table: names to the left, and numbers to the right.

    Parameters
    ----------
    rows
        Texts of the cells, as many in each row; the first one is the name.
    """
    names_width, *widths = (max(len(row[k]) for row in rows) for k in range(len(rows[0])))
    return "\n".join(
        "  ".join([name.ljust(names_width), *map(str.rjust, cells, widths)]).rstrip()
        for name, *cells in rows
    )
