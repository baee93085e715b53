import numpy as np
import pytest
from campaign.annotator import read_rows
from campaign.conftest import CampaignWriter

from nnunet_sparse.campaign.campaign import Campaign, Round
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.worklist import (
    Answers,
    plane_of,
    read_worklist,
    slice_positions,
    write_worklist,
)
from nnunet_sparse.errors import SparseError
from nnunet_sparse.geometry import Geometry
from nnunet_sparse.variant import Variant


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
    write_worklist(campaign, answers, {"a": SliceStates(todo=(1,), done=(3,))})
    again = read_worklist(campaign)
    assert again.columns["b", 0]["colour"] == "blau"
    assert again.confirmed("b") == {0}
    text = (campaign.folder / "worklist.csv").read_text("utf-8-sig")
    assert "a;1;2;1.00;axial;0;1;todo" in text
    assert "a;3;4;3.00;axial;0;1;done" in text
    assert "b;0;1;0.00;axial;0;1;missing" in text


def test_encodings_of_spreadsheets(campaign: Campaign) -> None:
    text = "case,slice,note\nb,0,Größe\n"
    for encoding in ("utf-8", "utf-8-sig", "cp1252"):
        assert saved(campaign, text, encoding).notes("b") == {0: "Größe"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,index\n", "lacks the column slice"),
        ("case,slice\na,2\n", "line 2: slice 2 of case a was not asked for"),
        ("case,slice\nc,1\n", "line 2: slice 1 of case c was not asked for"),
        ("case,slice\na,1\na,1\n", "line 3: slice 1 of case a is there twice"),
        ("case,slice\na,one\n", "line 2: slice must be a whole number, got 'one'"),
        ("case,slice,confirmed_empty\na,1,maybe\n", "confirmed_empty must be yes or empty"),
        ("case,slice,minutes\na,1,long\n", "minutes must be a number from 0 on, got 'long'"),
        ("case,slice,minutes\na,1,-3\n", "minutes must be a number"),
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
