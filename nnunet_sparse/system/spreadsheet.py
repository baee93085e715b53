"""Tables as spreadsheets save them: separators, line ends and encodings of many kinds."""

import codecs
import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_sparse.system.errors import SparseError

_DELIMITERS = ",;\t"
_END = "\x04"  # a line after the last one, part of a cell if a quotation mark is not closed


@dataclass(frozen=True)
class Spreadsheet:
    """A table with names in its first line.

    Attributes
    ----------
    names
        Of the columns. Those without a name that hold a text are ``unnamed_3`` and the like, where
        3 is the third column; of several with the same name, later ones end in their number.
    rows
        Number of the line in the file, and the cells by name; without empty lines.
    delimiter
        What separates the columns.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    delimiter: str


def parse_spreadsheet(content: bytes, file: Path, surplus: str) -> Spreadsheet:
    """Read a table; cells beyond its last column are kept as well.

    Parameters
    ----------
    content
        Of the file.
    file
        Its name, for messages.
    surplus
        Column to whose text cells beyond the last column are added: they are parts of a text that
        somebody has written without quotation marks.

    Raises
    ------
    SparseError
        If it is no table; with file and line.
    """
    stream = io.StringIO(_decode(content, file), newline=None)
    header = stream.readline()
    stream.seek(0)
    delimiter = max(_DELIMITERS, key=header.count)
    (_, first), *lines = _lines(stream, delimiter, file) or [(1, [])]
    names = _unique_names(first)
    rows = []
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(itertools.zip_longest(names, cells[: len(names)], fillvalue=""))
        beyond = [cell.strip() for cell in cells[len(names) :] if cell.strip()]
        if beyond:
            texts = [text for text in (row.get(surplus, "").strip(), *beyond) if text]
            row[surplus] = f"{delimiter.strip()} ".join(texts)
        rows.append((number, row))
    kept = [
        name
        for name, cell in zip(names, first, strict=True)
        if cell.strip() or any(row[name].strip() for _, row in rows)
    ]
    if surplus not in kept and any(surplus in row for _, row in rows):
        kept.append(surplus)
    return Spreadsheet(tuple(kept), tuple(rows), delimiter)


def _decode(content: bytes, file: Path) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise SparseError(f"{file} is damaged: {error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        of_macintosh = b"\r" in content and b"\n" not in content
        return content.decode("mac_roman" if of_macintosh else "cp1252", errors="replace")


def _lines(stream: io.StringIO, delimiter: str, file: Path) -> list[tuple[int, list[str]]]:
    """Number and cells of each line."""
    reader = csv.reader(itertools.chain(stream, [_END]), delimiter=delimiter)
    lines: list[tuple[int, list[str]]] = []
    number = 1
    try:
        for cells in reader:
            lines.append((number, cells))
            number = reader.line_num + 1
    except csv.Error as error:
        reason = f"{error}; is a quotation mark not closed?"
        raise SparseError(f"{file}, line {number}: {reason}") from error
    number, cells = lines.pop()
    if cells != [_END]:
        raise SparseError(f"{file}, line {number}: a quotation mark is not closed")
    return lines


def _unique_names(header: Sequence[str]) -> list[str]:
    names: list[str] = []
    for number, cell in enumerate(header, 1):
        name = cell.strip() or f"unnamed_{number}"
        while name in names:
            name = f"{name}_{number}"
        names.append(name)
    return names
