from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.system.spreadsheet_cells import (
    ChangedNames,
    decimal_number,
    is_missing,
    may_be,
    plain_cell,
    safe_cell,
    truth_value,
    whole_number,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("3.0", 3), ("3,00", 3), (" 3. ", 3), ("007", 7), ("-1", -1), ("1234", 1234)],
)
def test_whole_numbers(text: str, value: int) -> None:
    assert whole_number(text) == value


# 3,000 may be three thousand
@pytest.mark.parametrize("text", ["", "NA", "3.5", "3,000", "3.000", "1e3", "3. Apr", "0x3", "³"])
def test_no_whole_numbers(text: str) -> None:
    assert whole_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.5", 1.5), ("1,5", 1.5), ("0,125", 0.125), ("2", 2), (" .5", 0.5), ("1E-2", 0.01)],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_decimal_numbers(text: str, value: float, delimiter: str) -> None:
    assert decimal_number(text, delimiter) == value


@pytest.mark.parametrize("text", ["", "NA", "nan", "inf", "1.234,5", "1_000", "1e999", "01. Mai"])
def test_no_decimal_numbers(text: str) -> None:
    assert decimal_number(text) is None


def test_a_comma_that_may_stand_for_thousands() -> None:
    assert decimal_number("1,500", ";") == 1.5
    assert decimal_number("1,500", ",") is None


@pytest.mark.parametrize("text", ["yes", "WAHR", "vrai", "1", "1.0", "1,0", " X ", "True", "sí"])
def test_yes(text: str) -> None:
    assert truth_value(text) is True


@pytest.mark.parametrize("text", ["", "NA", "NaN", "#NV", "FALSCH", "faux", "0", "0.0", "no", "-"])
def test_no(text: str) -> None:
    assert truth_value(text) is False


@pytest.mark.parametrize("text", ["maybe", "2", "yes?", "1.5"])
def test_neither_yes_nor_no(text: str) -> None:
    assert truth_value(text) is None


def test_missing() -> None:
    assert is_missing(" ")
    assert is_missing("n/a")
    assert not is_missing("0")


@given(st.integers(0, 10**30), st.integers(0, 3), st.integers(1, 17))
def test_numbers_that_a_spreadsheet_has_shortened(number: int, zeros: int, digits: int) -> None:
    name = "0" * zeros + str(number)
    assert may_be(name, str(number))
    assert may_be(name, f"{number}.0")
    assert may_be(name, f"{Decimal(number):.{digits - 1}E}".replace(".", ","))
    assert may_be(name, repr(float(number)))
    assert not may_be(name, str(number + 1)) or number > 10**14


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("12E4", "1.20E+05"),
        ("12E4", "120000"),
        ("3.10", "3.1"),
        ("3.10", "3,1"),
        ("1.0", "1"),
        ("123456789012345678", "1.23457E+17"),
        ("123456789012345678", "123456789012345000"),  # Excel
        ("123456789012345678", "123456789012346000"),  # LibreOffice
        ("123456789012345678", "1.2345678901234568e+17"),  # pandas
        ("TRUE", "WAHR"),
        ("false", "FAUX"),
        ("Case_1", "CASE_1"),
    ],
)
def test_names_that_a_spreadsheet_has_changed(name: str, text: str) -> None:
    assert may_be(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [("3.10", "3.11"), ("12", "1.2E+00"), ("TRUE", "FALSCH"), ("a", "b"), ("3-4", "03. Apr"),
     ("123456789012345678", "123456789012345677000"), ("1", "")],
)  # fmt: skip
def test_other_names(name: str, text: str) -> None:
    assert not may_be(name, text)


NAMES = ["1.1", "1.10", "01.1", "7", "007", "7.0", "12E4", "TRUE", "WAHR", "Case_1", "case_1", "",
         "123456789012345678", "123456789012345679"]  # fmt: skip
AS_WRITTEN = {"1.10", "01.1", "007", "Case_1", "case_1", ""}
TEXTS = [*NAMES, "1,1", "120000", "1.20E+05", "1.23456789012346E+17", "123456789012345000", "x"]


@given(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(TEXTS)), st.sampled_from(TEXTS))
def test_names_that_a_text_may_mean(names: set[str], written: set[str], text: str) -> None:
    alike = {name for name in names if may_be(name, text)}
    changed = ChangedNames(sorted(names), written)
    assert changed.alike(text) == sorted(alike)
    found = changed.meant(text)
    if text not in names:
        assert found == sorted(alike)
    else:
        assert found[0] == text
        assert set(found[1:]) == (set() if text in AS_WRITTEN else alike - written - {text})


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1-cmd|' /C calc'!A0", "'+1-cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        (" =1", "' =1"),
        ("\t=1", "'\t=1"),
        ("'=1", "'=1"),
        ("-rf", "'-rf"),
        *((text, text) for text in ("", "a=1", "'a", "-1.5", "+2", "-0.1 ± 0.2", "-1e-05", "-")),
        ("-0.1 to +0.2", "-0.1 to +0.2"),
        ("-0.1 to +A1", "'-0.1 to +A1"),
    ],
)
def test_no_text_is_computed(text: str, cell: str) -> None:
    assert safe_cell(text) == cell
    assert plain_cell(cell) == text.removeprefix("'" if text == "'=1" else "")


def test_numbers_are_no_texts() -> None:
    assert [safe_cell(value) for value in (-1, -0.5, None, True)] == [-1, -0.5, None, True]
