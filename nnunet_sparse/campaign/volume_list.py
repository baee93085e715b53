"""Lists of volumes: a text file with a path per line, or a table with cases and images."""

from pathlib import Path

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import decoded, read_bytes, read_spreadsheet
from nnunet_sparse.system.spreadsheet_cells import is_missing

LIST_ENDINGS = (".txt", ".csv")


def read_list(file: Path) -> list[tuple[str, str, Path]]:
    """Read what a list names.

    Parameters
    ----------
    file
        A text file, whose lines that begin with ``#`` are left out, or a table (``.csv``) with the
        column ``image`` and, if it likes, ``case``.

    Returns
    -------
    list of tuple of str, str and Path
        Case ID (empty if there is none), the path as it is written, and where it leads: paths are
        relative to the list.

    Raises
    ------
    SparseError
        If the file is no such list, or a path does not exist.
    """
    entries = _of_table(file) if file.suffix.lower() == ".csv" else _of_text(file)
    found = []
    for case_id, text in entries:
        path = file.parent / _expanded(text)
        if not text or not path.exists():
            raise SparseError(f"{file} lists {text!r}, which does not exist")
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
    paths = [line.strip() for line in lines]
    return [("", path) for path in paths if path and path[0] != "#"]


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~ and the name of nobody
        return Path(text)
