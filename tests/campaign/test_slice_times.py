from dataclasses import replace

import pytest
from campaign.conftest import CampaignWriter

from nnunet_sparse.campaign.slice_times import (
    SliceTime,
    add_times,
    minutes_texts,
    read_times,
    slice_totals,
)
from nnunet_sparse.system.errors import SparseError

FIRST = SliceTime("v1", "a", 1, "=mk, jr", 30.0, "unsure", 0, None, True)
SECOND = SliceTime("v2", "a", 1, "=mk, jr", 42.5, "done", 3, 2)
OTHER = SliceTime("v3", "a", 3, "", 10.0, "confirmed empty")


def test_lines_are_written_once_and_read_as_they_were(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"a": (1, 3)})
    assert read_times(campaign) == []
    add_times(campaign, [FIRST, SECOND])
    assert add_times(campaign, [SECOND, OTHER]) == [FIRST, SECOND, OTHER]
    assert read_times(campaign) == [FIRST, SECOND, OTHER]


def test_visits_add_up() -> None:
    (total, other) = slice_totals([FIRST, SECOND, OTHER])
    assert total == replace(SECOND, seconds=72.5, distance=None, opens=True)
    assert other == OTHER
    # somebody else's work on the same slice stays apart; what is unsure is not finished
    assert len(slice_totals([SECOND, replace(SECOND, annotator="jr")])) == 2
    assert slice_totals([SECOND, FIRST]) == []
    assert minutes_texts([FIRST, OTHER, SECOND], "a", 1) == ["0.50", "1.21"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("visit,case_id\n", "lacks the column"),
        (
            "visit,case_id,slice_index,annotator,seconds,state,objects,distance,opens\n"
            "v,a,1,mk,soon,done,1,,\n",
            "line 2: seconds must be a number from 0 to 1000000000, got 'soon'",
        ),
        (
            "visit,case_id,slice_index,annotator,seconds,state,objects,distance,opens\n"
            "v,a,1.5,mk,1,done,1,,\n",
            "line 2: slice_index must be",
        ),
    ],
)
def test_tables_that_are_none(write_campaign: CampaignWriter, text: str, message: str) -> None:
    campaign = write_campaign({"a": (1, 3)})
    (campaign.folder / "slice_times.csv").write_text(text, "utf-8")
    with pytest.raises(SparseError, match=message):
        read_times(campaign)
