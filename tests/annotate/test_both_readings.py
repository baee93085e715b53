import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotate.phantom_campaign import (
    TURNED,
    Kind,
    Person,
    expected_label,
    phantom_campaign,
    saved_label,
    truth_of,
)
from campaign.annotator import read_rows, write_rows

from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.worklist_command import main as worklist

ONE = ("-np", "1")
TWICE = Kind(second=(0, 5))
KINDS = {
    "axis 0": TWICE,
    "axis 2, turned, anisotropic, two channels": Kind(
        axis=2, affine=TURNED, channels=("MR", "CT"), second=(0, 2)
    ),
    "2D, 15 labels": Kind(shape=(1, 8, 7), cases=("a", "b", "c"), num_labels=15, second=(0,)),
}


def second_of(campaign: Campaign) -> Campaign:
    return Campaign.read(campaign.folder / "second_reading")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_another_annotator_reads_again_and_sees_nothing(
    tmp_path: Path, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    mk = Person(campaign.folder, kind, "mk")
    mk.annotate_all()
    outcome = mk.session.next()
    number = len(kind.cases) * len(kind.second)
    assert outcome.result is Result.FINISHED
    assert f"second readings that are left to others: {number}" in outcome.text
    assert mk.session.close() == []
    first = {c: campaign.label_file(c).read_bytes() for c in kind.cases}

    jr = Person(campaign.folder, kind, "jr")
    assert jr.session.campaign.is_second_reading
    assert jr.session.folder == campaign.folder
    assert jr.session.progress == (0, number)
    assert jr.session.reason.startswith("round 1, a second reading")
    proposals, nothing = jr.session.proposals, "no slice with an object is annotated"
    for outcome in (proposals.find(), proposals.copy_nearest()):
        assert isinstance(outcome, Outcome)
        assert outcome.text.startswith(nothing)
    asked = second_of(campaign).asked(jr.key[0])
    shown = jr.volume.planes
    assert not shown[list(asked)].any()
    others = [i for i in range(len(shown)) if i not in asked]
    assert (shown[others] == campaign.ignore_label).all()
    jr.annotate_all()
    assert jr.session.next().result is Result.FINISHED
    assert jr.session.close() == []
    second = second_of(campaign)
    for case_id in kind.cases:
        expected = expected_label(second, case_id, kind, second.asked(case_id))
        np.testing.assert_array_equal(saved_label(second, case_id), expected)
        assert campaign.label_file(case_id).read_bytes() == first[case_id]
    assert {row["annotator"] for row in read_rows(second.folder)} == {"jr"}
    assert {row["annotator"] for row in read_rows(campaign.folder)} == {"mk"}
    assert worklist(["status", str(campaign.folder), *ONE]) == 0
    assert f"; {number} compared" in capsys.readouterr().out


def test_second_readings_come_when_nothing_else_is_left(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", TWICE)
    order = list(dict.fromkeys(row["case"] for row in read_rows(campaign.folder)))
    mk = Person(campaign.folder, TWICE, "mk")
    while mk.key[0] == order[0]:
        mk.annotate_slice()
    mk.session.close()
    jr = Person(campaign.folder, TWICE, "jr")
    assert jr.key[0] == order[1]
    assert not jr.session.campaign.is_second_reading
    for _ in range(2):
        jr.annotate_slice()
    outcome = jr.annotate_slice()
    assert outcome.text.startswith("a second reading: somebody else has annotated this slice")
    assert jr.session.campaign.is_second_reading
    assert jr.key[0] == order[0]
    assert jr.session.back().text == "this is the first slice"
    assert jr.session.visit((order[1], 0)).text.endswith("jr may have annotated it first")
    # what was painted on the first slices is what comes back the next time
    jr.paint(1)
    key = jr.key
    jr.session.close()
    jr.start()
    assert jr.session.campaign.is_second_reading
    assert jr.key == key
    assert (jr.volume.planes[key[1]] == 1).all()
    jr.annotate_all()
    jr.session.close()
    mk.start()
    assert mk.key[0] == order[1]
    mk.annotate_all()
    mk.session.close()
    assert {row["status"] for row in read_rows(second_of(campaign).folder)} <= {
        "done",
        "confirmed empty",
    }


def test_more_slices_are_asked_for_meanwhile(tmp_path: Path) -> None:
    """First readings come first."""
    campaign = phantom_campaign(tmp_path / "campaign", TWICE)
    mk = Person(campaign.folder, TWICE, "mk")
    mk.annotate_all()
    mk.session.close()
    jr = Person(campaign.folder, TWICE, "jr")
    assert jr.session.campaign.is_second_reading
    extend = ["extend", str(campaign.folder), "--budget", "2", "--second_reader", "0.5", *ONE]
    assert worklist(extend) == 0
    jr.annotate_all()
    # the last one of the second readings was followed by a slice of round 2
    assert jr.session.next().result is Result.FINISHED
    assert jr.session.close() == []
    answers = {row["round"]: row["annotator"] for row in read_rows(campaign.folder)}
    assert answers == {"1": "mk", "2": "jr"}
    left = [row for row in read_rows(second_of(campaign).folder) if row["status"] == "todo"]
    assert [row["round"] for row in left] == ["2"]  # jr has read that first


@pytest.mark.parametrize("name", ["", "mk", " MK", "mk, jr"])
def test_slices_that_somebody_may_have_read_are_not_offered(tmp_path: Path, name: str) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", TWICE)
    mk = Person(campaign.folder, TWICE, "mk")
    mk.annotate_all()
    mk.session.close()
    again = Person(campaign.folder, TWICE, name)
    assert not again.session.campaign.is_second_reading
    assert "left to others: 4" in again.session.next().text
    again.session.close()


def test_nobody_has_said_who_was_first(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", TWICE)
    mk = Person(campaign.folder, TWICE, "mk")
    mk.annotate_all()
    mk.session.close()
    rows = [{**row, "annotator": ""} for row in read_rows(campaign.folder)]
    write_rows(campaign.folder, rows)
    (campaign.folder / "slice_times.csv").unlink()
    jr = Person(campaign.folder, TWICE, "jr")
    assert "left to others: 4" in jr.session.next().text
    write_rows(campaign.folder, [{**row, "annotator": "mk"} for row in rows])
    assert jr.session.next().result is Result.MOVED
    jr.session.close()


def test_time_is_kept_with_the_reading_that_it_belongs_to(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", TWICE)
    rows = read_rows(campaign.folder)
    mk = Person(campaign.folder, TWICE, "mk")
    for _ in range(3):
        mk.annotate_slice(10)
    mk.session.close()
    jr = Person(campaign.folder, TWICE, "jr")
    for _ in range(3):
        jr.annotate_slice(20)
    jr.clock.pass_(7)
    jr.annotate_slice(5)
    assert jr.session.minutes == pytest.approx((3 * 20 + 12) / 60)
    jr.annotate_all()
    jr.session.close()
    minutes = [float(row["minutes"]) for row in read_rows(campaign.folder)]
    assert minutes == [0.17] * 3 + [0.33] * 3
    second = [
        row for row in read_rows(second_of(campaign).folder) if row["case"] == rows[0]["case"]
    ]
    assert [float(row["minutes"]) for row in second] == [0.2, 0.17]


def test_the_folder_of_second_readings_alone(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", TWICE)
    shutil.copytree(campaign.folder / "second_reading", tmp_path / "sent")
    jr = Person(tmp_path / "sent", TWICE, "jr")
    assert jr.session.progress == (0, 4)
    jr.annotate_all()
    assert jr.session.close() == []
    for case_id in TWICE.cases:
        second = Campaign.read(tmp_path / "sent")
        expected = expected_label(second, case_id, TWICE, TWICE.second)
        np.testing.assert_array_equal(saved_label(second, case_id), expected)
    here = Person(campaign.folder / "second_reading", TWICE, "jr")
    assert here.session.current is None  # nobody has annotated them yet
    assert "left to others: 4" in here.session.next().text
    here.session.close()


def test_a_folder_that_is_damaged_is_said_and_the_first_reading_goes_on(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", TWICE)
    (campaign.folder / "second_reading" / "campaign.json").write_text("{}")
    mk = Person(campaign.folder, TWICE, "mk")
    mk.annotate_all()
    assert mk.session.next().result is Result.FINISHED
    assert any("campaign.json is damaged" in line for line in mk.session.problems)
    mk.session.close()
    assert {row["status"] for row in read_rows(campaign.folder)} == {"done", "confirmed empty"}


def test_two_read_the_same_volume_at_once(tmp_path: Path) -> None:
    """A first and a second reading are files of their own, each with a session of its own."""
    kind = replace(TWICE, cases=("a",), asked=(0, 2, 5, 7))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    mk = Person(campaign.folder, kind, "mk", mortal=False)
    for _ in range(3):
        mk.annotate_slice()
    assert mk.key == ("a", 7)
    jr = Person(campaign.folder, kind, "jr", mortal=False)
    assert jr.session.current is not None
    assert jr.session.campaign.is_second_reading
    kim = Person(campaign.folder, kind, "kim", mortal=False)
    assert "a is open: mk works on it" in kim.session.next().text or kim.session.current is None
    jr.annotate_all()
    mk.annotate_slice()
    for person in (jr, mk, kim):
        assert person.session.close() == []
    truth = np.moveaxis(truth_of("a", kind), kind.axis, 0)
    for of_whom in (campaign, second_of(campaign)):
        found = saved_label(of_whom, "a")
        np.testing.assert_array_equal(found[list(kind.second)], truth[list(kind.second)])
