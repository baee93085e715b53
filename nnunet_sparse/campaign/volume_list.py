"""Lists of volumes: a text file with a path per line, or a table with cases and images."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import decoded, read_bytes, read_spreadsheet
from nnunet_sparse.system.spreadsheet_cells import is_missing
from nnunet_sparse.system.wording import brief

LIST_ENDINGS = (".txt", ".csv", ".tsv")

_QUOTED = re.compile(r"""(["'])(.+)\1""")


def read_list(file: Path) -> list[tuple[str, str, Path]]:
    """Read what a list names.

    Parameters
    ----------
    file
        A text file with a path per line, perhaps in quotation marks; lines that begin with ``#``
        are left out. Or a table (``.csv``, ``.tsv``) with the column ``image`` and, if it likes,
        ``case``.

    Returns
    -------
    list of tuple of str, str and Path
        Case ID (empty if there is none), the path as it is written, and where it leads: paths are
        relative to the list, may have Windows' separators, and may write letters with accents in
        another form than the file system.

    Raises
    ------
    SparseError
        If the file is no such list, or a path does not exist.
    """
    entries = _of_text(file) if file.suffix.lower() == ".txt" else _of_table(file)
    found = []
    for case_id, text in entries:
        paths = (file.parent / _expanded(form) for form in _forms(text))
        path = next((path for path in paths if text and path.exists()), None)
        if path is None:
            raise SparseError(f"{file} lists {brief(text)}, which does not exist")
        found.append((case_id, text, path))
    return found


def _of_table(file: Path) -> list[tuple[str, str]]:
    table = read_spreadsheet(file, "image", ("image", "case"))
    if not table.rows or "image" not in table.names:
        raise SparseError(f"{file} must be a table with the column image, and may have case")
    return [(_case(row.get("case", "")), row["image"].strip()) for _, row in table.rows]


def _case(text: str) -> str:
    return "" if is_missing(text) else text.strip()


def _of_text(file: Path) -> list[tuple[str, str]]:
    lines = decoded(read_bytes(file), file).splitlines()
    paths = [_QUOTED.sub(r"\2", line.strip()) for line in lines]
    return [("", path) for path in paths if path and path[0] != "#"]


def _forms(text: str) -> Iterator[str]:
    """Ways in which a path may have been meant, as it is written first."""
    for path in (text, text.replace("\\", "/")):
        yield path
        yield unicodedata.normalize("NFC", path)
        yield unicodedata.normalize("NFD", path)


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~ and the name of nobody
        return Path(text)
