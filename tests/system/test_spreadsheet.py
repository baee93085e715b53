import codecs
import csv
import errno
import io
import os
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import Spreadsheet, parse_spreadsheet, read_spreadsheet

FILE = Path("work.csv")


def parse(text: str, encoding: str = "utf-8") -> Spreadsheet:
    return parse_spreadsheet(text.encode(encoding), FILE, "note")


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=6)
TABLES = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")


@given(
    table=TABLES,
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(ENCODINGS),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    before=st.lists(st.sampled_from(["", "sep=", "of empty cells"]), max_size=2),
    header=st.sampled_from([("case", "note", "x"), ("Case", "NOTE", "x"), (" case ", '"n', "x")]),
)
def test_dialects(
    table: list[tuple[str, ...]],
    delimiter: str,
    end: str,
    encoding: str,
    quoting: Literal[0, 1],
    before: list[str],
    header: tuple[str, ...],
) -> None:
    stream = io.StringIO()
    starts = {"": "", "sep=": f"sep={delimiter}", "of empty cells": 2 * delimiter}
    stream.write("".join(starts[line] + end for line in before))
    csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(
        [header, *table]
    )
    content = stream.getvalue().encode(encoding)
    found = parse_spreadsheet(content, FILE, "note", ("case", "note"))
    names = ("case", '"n' if '"' in header[1] else "note", "x")
    assert found.names == names
    rows = [
        (number, dict(zip(names, row, strict=True)))
        for number, row in enumerate(table, len(before) + 2)
        if any(row)
    ]
    assert found.rows == tuple(rows)
    assert found.delimiter == delimiter


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_workbooks_are_refused(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "w.csv").write_bytes(start + bytes(range(256)))
    with pytest.raises(SparseError, match=r'w\.csv is an? .*workbook .*; save it .* "CSV UTF-8"'):
        read_spreadsheet(tmp_path / "w.csv")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SparseError, match=r"no\.csv cannot be read: No such file"):
        read_spreadsheet(tmp_path / "no.csv")
    with pytest.raises(SparseError, match=f"{tmp_path} cannot be read: Is a directory"):
        read_spreadsheet(tmp_path)


def test_a_disk_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "read_bytes", fail)
    (tmp_path / "w.csv").touch()
    with pytest.raises(SparseError, match=r"w\.csv cannot be read: Input/output error"):
        read_spreadsheet(tmp_path / "w.csv")


def test_a_name_that_is_there_is_not_taken_for_another_one() -> None:
    found = parse_spreadsheet(b"Case,case\na,b\n", FILE, None, ("case",))
    assert found.rows == ((2, {"Case": "a", "case": "b"}),)


def test_separator_within_a_name() -> None:
    found = parse('"case, as, we, call it";"note"\na;b\n')
    assert found.rows == ((2, {"case, as, we, call it": "a", "note": "b"}),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_kinds_of_spreadsheets(encoding: str, end: str, delimiter: str) -> None:
    text = delimiter.join(["case", " note "]) + end + delimiter.join(["b", "Größe"]) + end
    expected = Spreadsheet(("case", "note"), ((2, {"case": "b", "note": "Größe"}),), delimiter)
    assert parse(text, encoding) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "mac_roman"])
def test_macintosh(encoding: str) -> None:
    table = parse("case,note\rb,Größe\ra,\r", encoding)
    assert table.rows == ((2, {"case": "b", "note": "Größe"}), (3, {"case": "a", "note": ""}))


def test_big_endian() -> None:
    content = codecs.BOM_UTF16_BE + "note\nö".encode("utf-16-be")
    assert parse_spreadsheet(content, FILE, "note").rows == ((2, {"note": "ö"}),)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(SparseError, match=r"work\.csv is damaged"):
        parse_spreadsheet(codecs.BOM_UTF16_LE + b"a", FILE, "note")


def test_numbers_of_lines() -> None:
    table = parse('case,note\n\nb,"two\nlines"\n,\na\n')
    assert table.rows == ((3, {"case": "b", "note": "two\nlines"}), (6, {"case": "a", "note": ""}))


def test_columns_without_a_name_are_kept_if_they_hold_a_text() -> None:
    table = parse("case,,note,,\nb,x,,,\na,,,,y\n")
    assert table.names == ("case", "unnamed_2", "note", "unnamed_5")
    assert [row["unnamed_2"] for _, row in table.rows] == ["x", ""]
    assert [row["unnamed_5"] for _, row in table.rows] == ["", "y"]


def test_columns_with_the_same_name_are_told_apart() -> None:
    table = parse("case,note,note,note_3\nb,x,y,z\n")
    assert table.names == ("case", "note", "note_3", "note_3_4")
    assert list(table.rows[0][1].values()) == ["b", "x", "y", "z"]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("case,note\nb,lesion, left,  top ,,\n", "lesion, left, top"),
        ("case,note\nb,, left\n", "left"),
        ("case,note\nb, kept ,,\n", " kept "),
        ("case;note\nb;lesion; left\n", "lesion; left"),
        ("case\tnote\nb\tlesion\tleft\n", "lesion left"),
        ("note,case\nlesion,b,left\n", "lesion, left"),
        ("case,hue\nb,red,lesion\n", "lesion"),
    ],
)
def test_cells_beyond_the_last_column_are_a_part_of_the_note(text: str, note: str) -> None:
    table = parse(text)
    assert "note" in table.names
    assert [(row["case"], row["note"]) for _, row in table.rows] == [("b", note)]


@pytest.mark.parametrize("length", [1, 200_000])
@pytest.mark.parametrize("end", ["", "\n"])
def test_open_quotation_mark_is_refused(length: int, end: str) -> None:
    text = 'case,note\na,x\nb,"' + "open " * length + "\nc," + end
    with pytest.raises(
        SparseError, match=r"^work.csv, line 3: .*a quotation mark (is )?not closed"
    ):
        parse(text)


def test_empty() -> None:
    assert parse("") == Spreadsheet((), (), ",")
