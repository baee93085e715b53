from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.data.groups import (
    Grouping,
    check_apart,
    grouping_text,
    members,
    read_grouping,
    take_groups,
)
from nnunet_sparse.system.errors import SparseError

CASES = ["P1_a", "P1_b", "P2_a", "P10_a"]
PATIENTS = {"P1": ["P1_a", "P1_b"], "P10": ["P10_a"], "P2": ["P2_a"]}


@pytest.mark.parametrize("pattern", ["^P[0-9]+", "^(P[0-9]+)_", "(.*)_", "P(?:1(?!0)|2|3|10)"])
def test_groups_by_a_pattern(pattern: str) -> None:
    grouping = read_grouping(pattern, CASES)
    assert members(CASES, grouping) == PATIENTS
    assert grouping.covering(["P3_a"]).cases["P3_a"] == "P3"


@pytest.mark.parametrize("text", ["case,patient\n", "Group;case\n", "case\tsubject\tage\n"])
def test_groups_by_a_table(tmp_path: Path, text: str) -> None:
    delimiter = next(d for d in ",;\t" if d in text)
    file = tmp_path / "patients.csv"
    for case_id in (*CASES, "not_there"):
        cells = [case_id, case_id.partition("_")[0]]
        text += delimiter.join(cells[:: -1 if text.startswith("G") else 1]) + "\r\n"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    grouping = read_grouping(str(file), CASES)
    assert members(CASES, grouping) == PATIENTS
    with pytest.raises(SparseError, match="group of case P3_a is not known"):
        grouping.covering(["P3_a"])


def test_cases_that_a_spreadsheet_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "patients.csv"
    file.write_text("case,patient\n1,a\n2,a\n10,b\n", "utf-8")
    cases = ["001", "002", "010"]
    assert members(cases, read_grouping(str(file), cases)) == {"a": ["001", "002"], "b": ["010"]}
    with pytest.raises(SparseError, match="line 2: '1' may be case 001 or 01; has a spreadsheet"):
        read_grouping(str(file), [*cases, "01"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(", "is no regular expression"),
        ("Q", "'Q' finds no group in the case P10_a"),
        ("x*", "finds no group"),
        ("^(Q)?P", "finds no group"),
        ("gone.csv", r"gone\.csv cannot be read"),
        ("case,patient\nP1_a,x\nP1_a,y\n", r"line 3: case P1_a is in two groups"),
        ("case,patient\nP1_a,\n", r"line 2: case P1_a has no group"),
        ("case,patient\nP1_a,x\n", r"no group for 3 cases: P10_a, P1_b, P2_a"),
        ("case,patient\nP1_a,NA\n", r"line 2: case P1_a has no group"),
        ("case,patient\nP1_a,007\nP1_b,7\nP2_a,1\nP10_a,2\n", "'007' and '7' may be one group"),
        ("case,patient\nP1_a,7.0\nP1_b,7\nP2_a,1\nP10_a,2\n", "'7' and '7.0' may be one group"),
        ("case,patient\nP1_a,P1\nP1_b,p1\nP2_a,1\nP10_a,2\n", "'P1' and 'p1' may be one group"),
        ("case,age\nP1_a,x\n", "columns case and one of"),
        ("case,patient,group\n", "columns case and one of"),
        ("", "columns case and one of"),
    ],
)
def test_groups_that_cannot_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if "," in text or not text:
        Path("table.csv").write_text(text, encoding="utf-8")
        text = "table.csv"
    with pytest.raises(SparseError, match=message):
        read_grouping(text, CASES)


def test_no_groups() -> None:
    assert members(CASES, None) == {case_id: [case_id] for case_id in CASES}
    assert "several volumes of one patient" in grouping_text(CASES, None)
    check_apart({"train": CASES, "val": CASES}, None, "split")


def test_a_group_in_two_parts_is_named() -> None:
    grouping = read_grouping("P[0-9]+", CASES)
    assert "4 cases of 3 groups" in grouping_text(CASES, grouping)
    check_apart({"train": ["P1_a", "P1_b"], "val": ["P2_a"]}, grouping, "split")
    with pytest.raises(SparseError, match="group 'P1' are in two parts, P1_a in train and P1_b"):
        check_apart({"train": ["P1_a", "P2_a"], "val": ["P1_b"]}, grouping, "split")


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 5)), st.integers(0, 30))
def test_taken_groups_fit(sizes: dict[str, int], wanted: int) -> None:
    taken = take_groups(list(sizes), sizes, wanted)
    assert sum(sizes[group] for group in taken) <= wanted or len(taken) == 1
    assert bool(taken) == bool(sizes and wanted)


def test_of_single_cases_the_first_ones_are_taken() -> None:
    assert take_groups(["c", "a", "b"], {"a": 1, "b": 1, "c": 1}, 2) == ["c", "a"]
    assert take_groups(["c", "a", "b"], {"a": 2, "b": 1, "c": 3}, 4) == ["c", "b"]


def test_what_is_kept(tmp_path: Path) -> None:
    for grouping in (read_grouping("P[0-9]+", CASES), Grouping({"a": "1"})):
        assert Grouping.from_json(grouping.to_json(), tmp_path) == grouping
    assert Grouping.from_json(None, tmp_path) is None
    for damaged in (3, [], {"cases": 3}, {"cases": {"a": 1}}, {"cases": {}, "pattern": "("}):
        with pytest.raises(SparseError, match=str(tmp_path)):
            Grouping.from_json(damaged, tmp_path)
