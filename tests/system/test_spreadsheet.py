import codecs
from pathlib import Path

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import Spreadsheet, parse_spreadsheet

FILE = Path("work.csv")


def parse(text: str, encoding: str = "utf-8") -> Spreadsheet:
    return parse_spreadsheet(text.encode(encoding), FILE, "note")


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
