"""Tables as spreadsheets save them: separators, line ends and encodings of many kinds."""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.regular_files import read_regular

_DELIMITERS = ",;\t"
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t])"?[;,\t]*\s*', re.IGNORECASE)
_WORKBOOKS = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods)",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls)",
}
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


def read_spreadsheet(
    file: Path, surplus: str | None = None, columns: Sequence[str] = ()
) -> Spreadsheet:
    """Read a table from a file; as :func:`parse_spreadsheet`.

    Raises
    ------
    SparseError
        If there is no such file, it cannot be read, or is no table.
    """
    return parse_spreadsheet(read_bytes(file), file, surplus, columns)


def read_bytes(file: Path) -> bytes:
    """Content of a file that people have written.

    Raises
    ------
    SparseError
        If there is none, or it cannot be read.
    """
    try:
        return read_regular(file)
    except OSError as error:
        raise SparseError(f"{file} cannot be read: {error.strerror or error}") from error


def parse_spreadsheet(
    content: bytes, file: Path, surplus: str | None = None, columns: Sequence[str] = ()
) -> Spreadsheet:
    """Read a table; cells beyond its last column are kept as well.

    Columns are separated by commas, semicolons or tabulators; the text is UTF-8, UTF-16, or what
    Windows and old Macintoshes write. Empty lines, and a first line ``sep=;``, are passed over.

    Parameters
    ----------
    content
        Of the file.
    file
        Its name, for messages.
    surplus
        Column to whose text cells beyond the last column are added: they are parts of a text that
        somebody has written without quotation marks. None: such cells are left out.
    columns
        Names that are known also in capital letters.

    Raises
    ------
    SparseError
        If it is no table; with file and line.
    """
    text, skipped = decoded(content, file), 0
    delimiter = None
    for line in io.StringIO(text, newline=None):
        if found := _SEPARATOR_LINE.fullmatch(line):
            delimiter = found[1]
        elif line.strip(f'{_DELIMITERS}" \n'):
            delimiter = delimiter or _delimiter(line)
            break
        skipped += 1
    stream = io.StringIO(text, newline=None)
    for _ in range(skipped):
        stream.readline()
    delimiter = delimiter or ","
    (_, first), *lines = _lines(stream, delimiter, file, skipped + 1) or [(1, [])]
    names = _unique_names(first, (*columns, *([] if surplus is None else [surplus])))
    rows = []
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(itertools.zip_longest(names, cells[: len(names)], fillvalue=""))
        beyond = [cell.strip() for cell in cells[len(names) :] if cell.strip()]
        if beyond and surplus is not None:
            texts = [text for text in (row.get(surplus, "").strip(), *beyond) if text]
            row[surplus] = f"{delimiter.strip()} ".join(texts)
        rows.append((number, row))
    kept = [
        name
        for name, cell in zip(names, first, strict=True)
        if cell.strip() or any(row[name].strip() for _, row in rows)
    ]
    if surplus is not None and surplus not in kept and any(surplus in row for _, row in rows):
        kept.append(surplus)
    return Spreadsheet(tuple(kept), tuple(rows), delimiter)


def decoded(content: bytes, file: Path) -> str:
    """Text of a file that people have written, in whichever encoding.

    Parameters
    ----------
    content
        Of the file.
    file
        Its name, for messages.

    Raises
    ------
    SparseError
        If it is a workbook, or damaged.
    """
    for start, what in _WORKBOOKS.items():
        if content.startswith(start):
            raise SparseError(
                f'{file} is {what}, not text; save it there as "CSV UTF-8" and name that file'
            )
    encoding = _utf_16(content)
    if encoding is not None:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            raise SparseError(f"{file} is damaged: {error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        of_macintosh = b"\r" in content and b"\n" not in content
        return content.decode("mac_roman" if of_macintosh else "cp1252", errors="replace")


def _utf_16(content: bytes) -> str | None:
    """Name of that encoding, which may come without a mark; None if it is another one."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # half of the bytes of ASCII letters, which no other text has
    after, before = content[1::2].count(0), content[::2].count(0)
    if not after and not before:
        return None
    return "utf-16-le" if after > before else "utf-16-be"


def _delimiter(header: str) -> str:
    """What separates the most cells of the first line."""
    return max(_DELIMITERS, key=lambda sign: _num_cells(header, sign))


def _num_cells(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:  # a cell longer than any, which is refused with its line
        return 0


def _lines(
    stream: io.StringIO, delimiter: str, file: Path, first: int
) -> list[tuple[int, list[str]]]:
    """Number and cells of each line, from the number of the first one."""
    reader = csv.reader(itertools.chain(stream, [_END]), delimiter=delimiter)
    lines: list[tuple[int, list[str]]] = []
    number = first
    try:
        for cells in reader:
            lines.append((number, cells))
            number = reader.line_num + first
    except csv.Error as error:
        reason = f"{error}; is a quotation mark not closed?"
        raise SparseError(f"{file}, line {number}: {reason}") from error
    number, cells = lines.pop()
    if cells != [_END]:
        raise SparseError(f"{file}, line {number}: a quotation mark is not closed")
    return lines


def _unique_names(header: Sequence[str], columns: Sequence[str]) -> list[str]:
    known = {name.casefold(): name for name in columns}
    present = {cell.strip() for cell in header}
    names: dict[str, None] = {}
    for number, cell in enumerate(header, 1):
        name = cell.strip() or f"unnamed_{number}"
        if (wanted := known.get(name.casefold(), name)) not in present:
            name = wanted
        while name in names:
            name = f"{name}_{number}"
        names[name] = None
    return list(names)
