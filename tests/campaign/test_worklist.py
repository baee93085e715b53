import csv
import io
from random import Random

import numpy as np
import pytest
from campaign.annotator import read_rows, write_rows
from campaign.conftest import CampaignWriter
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.campaign.campaign import Campaign, CampaignVolume, Round
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.worklist import (
    Answers,
    SliceKey,
    plane_of,
    position_text,
    read_worklist,
    slice_positions,
    work_order,
    write_worklist,
)
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError


@pytest.fixture
def campaign(write_campaign: CampaignWriter) -> Campaign:
    found = write_campaign({"a": (1, 3), "b": (0,)})
    write_worklist(found, Answers())
    return found


def saved(campaign: Campaign, text: str, encoding: str = "utf-8") -> Answers:
    (campaign.folder / "worklist.csv").write_text(text, encoding)
    return read_worklist(campaign)


def test_columns(campaign: Campaign) -> None:
    rows = read_rows(campaign.folder)
    assert [(r["order"], r["number"], r["status"]) for r in rows if r["case"] == "a"] in (
        [("1", "2", "todo"), ("2", "4", "todo")],
        [("2", "2", "todo"), ("3", "4", "todo")],
    )
    assert {r["plane"] for r in rows} == {"axial"}
    assert [r["position_mm"] for r in rows if r["case"] == "a"] == ["1.00", "3.00"]


def test_later_rounds_come_later(campaign: Campaign) -> None:
    more = campaign.with_round(Round(Variant(0.5, 1.0, "fixed"), {"a": (0,)}))
    write_worklist(more, Answers())
    rows = read_rows(more.folder)
    assert [(r["case"], r["slice"], r["round"]) for r in rows][-1] == ("a", "0", "2")
    assert [int(r["order"]) for r in rows] == [1, 2, 3, 4]


def test_what_people_write_stays(campaign: Campaign) -> None:
    text = "case;slice;confirmed_empty;minutes;colour\nb;0;YES;1,5;blau\n"
    answers = saved(campaign, text)
    assert answers.confirmed("b") == {0}
    assert (answers.minutes("b"), answers.num_timed("a")) == (1.5, 0)
    write_worklist(campaign, Answers(), {"a": SliceStates(todo=(1,), done=(3,))})
    again = read_worklist(campaign)
    assert again.columns["b", 0]["colour"] == "blau"
    assert again.confirmed("b") == {0}
    text = (campaign.folder / "worklist.csv").read_text("utf-8-sig")
    assert "a;1;2;1.00;axial;0;1;todo" in text
    assert "a;3;4;3.00;axial;0;1;done" in text
    assert "b;0;1;0.00;axial;0;1;missing" in text


def test_what_is_saved_while_a_command_runs_stays(campaign: Campaign) -> None:
    answers = read_worklist(campaign).with_confirmed({"a": frozenset({1})})
    answers = answers.with_confirmed({"a": frozenset({3}), "b": frozenset({0})})
    saved(campaign, "case;slice;confirmed_empty;minutes;hue\na;3;;2;red\nb;0;ja;;\n")
    write_worklist(campaign, answers)
    again = read_worklist(campaign)
    assert (again.confirmed("a"), again.confirmed("b")) == ({1, 3}, {0})
    assert (again.minutes("a"), again.columns["a", 3]["hue"]) == (2, "red")
    assert (again.delimiter, again.fresh) == (";", {})
    assert again.columns["b", 0]["confirmed_empty"] == "ja"


def test_what_is_withdrawn_while_a_command_runs_stays_withdrawn(campaign: Campaign) -> None:
    answers = saved(campaign, "case,slice,confirmed_empty\na,1,yes\na,3,yes\n")
    saved(campaign, "case,slice,confirmed_empty\na,1,\na,3,yes\n")
    write_worklist(campaign, answers)
    assert read_worklist(campaign).confirmed("a") == {3}


def test_answers_are_kept_if_the_file_vanishes(campaign: Campaign) -> None:
    answers = saved(campaign, "case,slice,note\na,1,blurred\n")
    (campaign.folder / "worklist.csv").unlink()
    write_worklist(campaign, answers)
    assert read_worklist(campaign).notes("a") == {1: "blurred"}


def test_nothing_is_written_over_a_table_that_is_not_understood(campaign: Campaign) -> None:
    answers = read_worklist(campaign)
    file = campaign.folder / "worklist.csv"
    file.write_text("case,slice\nc,1\n")
    with pytest.raises(SparseError, match="slice 1 of case c was not asked for"):
        write_worklist(campaign, answers)
    assert file.read_text() == "case,slice\nc,1\n"


def test_a_table_that_stays_the_same_is_not_written(campaign: Campaign) -> None:
    file = campaign.folder / "worklist.csv"
    before = file.stat().st_ino
    write_worklist(campaign, read_worklist(campaign))
    assert file.stat().st_ino == before
    write_worklist(campaign, read_worklist(campaign), {"a": SliceStates(done=(1, 3))})
    assert file.stat().st_ino != before


def test_no_text_is_lost(campaign: Campaign) -> None:
    saved(campaign, "case,slice,,note,\na,1,right,lesion, left side,see b\n")
    write_worklist(campaign, Answers())
    (row,) = (r for r in read_rows(campaign.folder) if (r["case"], r["slice"]) == ("a", "1"))
    assert list(row.values())[9:] == ["right", "lesion, see b", " left side", "", "", ""]
    assert list(row)[9:12] == ["unnamed_3", "note", "unnamed_5"]


NUMBERS = {"007": (1, 3), "12": (0,)}


def test_zeros_that_a_spreadsheet_has_dropped(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign(NUMBERS)
    answers = saved(campaign, "case,slice,note\n7,3,x\n0012,0,y\n")
    assert (answers.notes("007"), answers.notes("12")) == ({3: "x"}, {0: "y"})


def test_order_tells_cases_apart_that_differ_by_zeros(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"007": (1,), "7": (1,), "07": (2,)})
    write_worklist(campaign, Answers())
    rows = [{**row, "note": row["case"], "case": "7"} for row in read_rows(campaign.folder)]
    write_rows(campaign.folder, rows)
    answers = read_worklist(campaign)
    assert [answers.notes(c) for c in ("007", "7", "07")] == [{1: "007"}, {1: "7"}, {2: "07"}]


def test_case_that_differs_by_zeros_from_two_is_refused(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"007": (1,), "07": (1,)})
    assert saved(campaign, "case,slice,note\n07,1,x\n").notes("07") == {1: "x"}
    with pytest.raises(SparseError, match="line 2: '7' may be case 007 or 07"):
        saved(campaign, "order,case,slice\n3,7,1\n")


def test_order_of_another_slice_says_nothing(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign(NUMBERS)
    write_worklist(campaign, Answers())
    orders = {r["slice"]: r["order"] for r in read_rows(campaign.folder)}
    answers = saved(campaign, f"order,case,slice,note\n{orders['1']},7,3,x\n")
    assert answers.notes("007") == {3: "x"}


EXCEL = {  # what it shows of case IDs
    "007": "7",
    "12E4": "1.20E+05",
    "3-4": "03. Apr",
    "5-6": "06.05.2026",
    "1-2": "46024",
    "1.1": "1.1",
    "1.10": "1.1",
    "1.100": "1,1",
    "123456789012345678": "1.23457E+17",
    "123456789012345679": "1.23457E+17",
    "123456789012349999": "123456789012349000",
    "TRUE": "WAHR",
    "scan_1": "scan_1",
    "NA": "",
}


@pytest.mark.parametrize("shown", [EXCEL, {case: case for case in EXCEL}], ids=["Excel", "text"])
def test_ids_that_a_spreadsheet_has_changed(
    write_campaign: CampaignWriter, shown: dict[str, str]
) -> None:
    campaign = write_campaign(dict.fromkeys(EXCEL, (1, 3)))
    write_worklist(campaign, Answers())
    written = read_rows(campaign.folder)
    assert_rows_are_known(campaign, [{**row, "case": shown[row["case"]]} for row in written])
    write_worklist(campaign, Answers())
    assert [row["case"] for row in read_rows(campaign.folder)] == [row["case"] for row in written]


def assert_rows_are_known(campaign: Campaign, rows: list[dict[str, str]], **dialect: str) -> None:
    """The note of each row is its true case and slice."""
    truth = {line: f"{c}/{i}" for line, _, c, i in numbered(campaign)}
    noted = [{**row, "note": truth[int(float(row["order"].replace(",", ".")))]} for row in rows]
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(noted[0]), delimiter=dialect.get("delimiter", ","))
    table.writeheader()
    table.writerows(noted)
    content = stream.getvalue().encode(dialect.get("encoding", "utf-8"))
    (campaign.folder / "worklist.csv").write_bytes(content)
    answers = read_worklist(campaign)
    for case_id in campaign.asked_cases:
        expected = {i: f"{case_id}/{i}" for i in campaign.asked(case_id)}
        assert answers.notes(case_id) == expected


def numbered(campaign: Campaign) -> list[tuple[int, int, str, int]]:
    return [(number, *line) for number, line in enumerate(work_order(campaign), 1)]


@pytest.fixture(scope="module")
def of_excel(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Without images, which are not looked at where a table is read."""
    volumes = {case_id: CampaignVolume(4, (case_id,)) for case_id in EXCEL}
    asking = Round(Variant(0.5, 1.0, "random"), dict.fromkeys(EXCEL, (1, 3)))
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1}}
    folder = tmp_path_factory.mktemp("campaign")
    return Campaign(folder, dataset, 0, "axial", volumes, (asking,))


@given(
    changed=st.sets(st.sampled_from(sorted(EXCEL))),
    whole=st.sampled_from(["{}", "{}.0", "{},00", " {}"]),
    empty=st.sampled_from(["", "NA", "NaN", "#NV"]),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
    random=st.randoms(use_true_random=False),
)
def test_tables_of_any_program(
    of_excel: Campaign,
    changed: set[str],
    whole: str,
    empty: str,
    delimiter: str,
    encoding: str,
    random: Random,
) -> None:
    rows = [
        {
            "order": whole.format(number),
            "case": EXCEL[case_id] if case_id in changed else case_id,
            "slice": whole.format(i),
            "confirmed_empty": random.choice([empty, "WAHR", "vrai", "yes"]),
            "minutes": random.choice([empty, "1,5", "2.0"]),
        }
        for number, _, case_id, i in numbered(of_excel)
    ]
    random.shuffle(rows)
    assert_rows_are_known(of_excel, rows, delimiter=delimiter, encoding=encoding)
    answers = read_worklist(of_excel)
    said = sum(len(answers.confirmed(case_id)) for case_id in EXCEL)
    assert said == sum(row["confirmed_empty"] != empty for row in rows)
    minutes = sum(answers.minutes(case_id) for case_id in EXCEL)
    assert minutes == sum({"1,5": 1.5, "2.0": 2}.get(row["minutes"], 0) for row in rows)


@pytest.mark.parametrize(
    ("order", "case_id", "expected"),
    [
        (1, "a", ("a", 1)),  # the line of another case: the text counts
        (2, "a", ("a", 1)),
        (2, "03. Apr", ("b", 1)),
        (2, "", ("b", 1)),
        (3, "7", ("007", 1)),
        (2, "7", ("007", 1)),  # the order was changed, the text may be one case only
        (2, "7.0", ("007", 1)),
    ],
)
def test_text_that_is_another_case_comes_before_the_order(
    write_campaign: CampaignWriter, order: int, case_id: str, expected: SliceKey
) -> None:
    campaign = write_campaign({"a": (1,), "b": (1,), "007": (1,)})
    places = {case: number for number, _, case, _ in numbered(campaign)}
    order = places[("a", "b", "007")[order - 1]]
    assert list(saved(campaign, f"order,case,slice\n{order},{case_id},1\n").columns) == [expected]


def test_date_without_its_order_is_refused(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"3-4": (1,), "5-6": (0,)})
    with pytest.raises(SparseError, match=r"slice 1 of case 03\. Apr was not asked for"):
        saved(campaign, "case,slice\n03. Apr,1\n")
    order = {case: number for number, _, case, _ in numbered(campaign)}["3-4"]
    with pytest.raises(SparseError, match=r"slice 0 of case 03\. Apr was not asked for"):
        saved(campaign, f"order,case,slice\n{order},03. Apr,0\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,index\n", "lacks the column slice"),
        ("case,slice\na,2\n", "line 2: slice 2 of case a was not asked for"),
        ("case,slice\nc,1\n", "line 2: slice 1 of case c was not asked for"),
        ("case,slice\na,1\na,1\n", "line 3: slice 1 of case a is there twice"),
        ("case,slice\na,one\n", "line 2: slice must be a whole number, got 'one'"),
        ("case,slice\na,1.5\n", "line 2: slice must be a whole number, got '1.5'"),
        ("case,slice,minutes\na,1,01. Mai\n", "minutes must be a number from 0 on, got '01. Mai'"),
        ('case,slice,minutes\na,1,"1,500"\n', "minutes must be a number from 0 on, got '1,500'"),
        ("case,slice,confirmed_empty\na,1,maybe\n", "confirmed_empty must be yes or empty"),
        ("case,slice,minutes\na,1,long\n", "minutes must be a number from 0 on, got 'long'"),
        ("case,slice,minutes\na,1,-3\n", "minutes must be a number"),
        ("case,slice\n01,1\n", "slice 1 of case 01 was not asked for"),
    ],
)
def test_refusals(campaign: Campaign, text: str, message: str) -> None:
    with pytest.raises(SparseError, match=message):
        saved(campaign, text)


def test_lines_without_content(campaign: Campaign) -> None:
    assert saved(campaign, "case,slice\n,\n\na,1\n").columns.keys() == {("a", 1)}


def test_missing(campaign: Campaign, caplog: pytest.LogCaptureFixture) -> None:
    (campaign.folder / "worklist.csv").unlink()
    assert read_worklist(campaign) == Answers()
    assert "is missing" in caplog.text


@pytest.mark.parametrize(
    ("spacing_mm", "expected"),
    [
        (3, ["0.00", "3.00", "6.00"]),
        (0.1, ["0.00", "0.10", "0.20"]),
        (0.025, ["0.000", "0.025", "0.050"]),
        (0.00065, ["0.00000", "0.00065", "0.00130"]),
        (-0.004, ["-0.0000", "-0.0040", "-0.0080"]),
    ],
)
def test_positions_of_small_voxels_are_told_apart(spacing_mm: float, expected: list[str]) -> None:
    positions = np.arange(3) * spacing_mm
    assert [position_text(positions, i) for i in range(3)] == expected
    assert position_text(np.array([1.5]), 0) == "1.50"


@pytest.mark.parametrize(
    ("columns", "axis", "plane", "expected"),
    [
        # array axes z, y, x lead to superior, posterior, left; position towards superior
        ([(0, 0, 2), (0, 1, 0), (1, 0, 0)], 0, "axial", [10, 12, 14]),
        ([(0, 0, -2), (0, 1, 0), (1, 0, 0)], 0, "axial", [10, 8, 6]),
        # towards anterior and right, as nibabel counts: LPS y and x with other sign
        ([(0, 3, 0), (0, 0, 1), (1, 0, 0)], 0, "coronal", [-20, -23, -26]),
        ([(5, 0, 0), (0, 1, 0), (0, 0, 1)], 0, "sagittal", [-30, -35, -40]),
    ],
)
def test_positions(
    columns: list[tuple[float, ...]], axis: int, plane: str, expected: list[float]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.array(columns).T
    affine[:3, 3] = (30, 20, 10)
    affine[:3, 3] -= affine[:3, 1] + affine[:3, 2]  # the centre of slice 0 is at 30, 20, 10
    geometry = Geometry((3, 3, 3), affine)
    assert plane_of(geometry, axis) == plane
    np.testing.assert_allclose(slice_positions(geometry, axis), expected)
