from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest
from annotate.phantom_campaign import (
    TURNED,
    Kind,
    Later,
    Person,
    expected_label,
    phantom_campaign,
    saved_label,
    truth_of,
)
from campaign.annotator import read_rows, write_rows
from plain_file_systems import without
from training_fixtures import use_paths

from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.campaign.campaign import Campaign, Round
from nnunet_sparse.campaign.import_command import main as import_campaign
from nnunet_sparse.campaign.predicted_slices import PredictedSlices, predictions_file
from nnunet_sparse.campaign.prefill import prefill
from nnunet_sparse.campaign.slice_times import read_times
from nnunet_sparse.campaign.worklist import Answers, write_worklist
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

KINDS = {
    "axis 0": Kind(),
    "axis 1": Kind(axis=1),
    "axis 2, turned, anisotropic": Kind(axis=2, affine=TURNED),
    "axis 0, turned": Kind(affine=TURNED),
    "two channels": Kind(channels=("MR", "CT")),
    "15 labels": Kind(num_labels=15),
    "2D": Kind(shape=(1, 8, 7), cases=("a", "b", "c")),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_whole_campaign(tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the worklist to the data set, with a start anew in between."""
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    assert person.annotate_slice(30).result is Result.MOVED
    person.session.close()
    person.start()
    person.annotate_all()
    assert person.session.next().result is Result.FINISHED
    assert person.session.close() == []
    assert [p for p in (campaign.folder / "labels").iterdir() if "nnsparse_j" in p.name] == []
    for case_id in kind.cases:
        asked = campaign.asked(case_id)
        found = saved_label(campaign, case_id)
        np.testing.assert_array_equal(found, expected_label(campaign, case_id, kind, asked))
        one = nibabel.load(campaign.label_file(case_id)).affine  # type: ignore[attr-defined]
        other = nibabel.load(campaign.image_files(case_id)[0])  # type: ignore[attr-defined]
        np.testing.assert_array_equal(one, other.affine)
    rows = read_rows(campaign.folder)
    empty = {r["slice"] for r in rows if r["confirmed_empty"] == "yes"}
    assert empty == ({"2"} if kind.shape[kind.axis] > 2 else set())
    assert {r["status"] for r in rows} == ({"done", "confirmed empty"} if empty else {"done"})
    assert {r["annotator"] for r in rows} == {"mk"}
    assert sorted(float(r["minutes"]) for r in rows) == [0.17] * (len(rows) - 1) + [0.5]

    paths = NnUNetPaths.below(tmp_path / "nnunet")
    paths.make_folders()
    use_paths(paths, monkeypatch)
    assert worklist(["status", str(campaign.folder), "-np", "1"]) == 0
    assert rows == read_rows(campaign.folder)
    assert import_campaign([str(campaign.folder), "--val", "1", "-np", "1"]) == 0
    (dataset,) = paths.raw.iterdir()
    for case_id in kind.cases:
        label = nibabel.load(dataset / "labelsTr" / f"{case_id}.nii.gz")  # type: ignore[attr-defined]
        expected = np.full(kind.shape, campaign.ignore_label)
        planes, truth = (np.moveaxis(a, kind.axis, 0) for a in (expected, truth_of(case_id, kind)))
        asked = list(campaign.asked(case_id))
        planes[asked] = truth[asked]
        np.testing.assert_array_equal(np.asarray(label.dataobj).T, expected)


def test_slices_come_in_the_order_of_the_worklist_and_done_ones_do_not(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", Kind())
    rows = read_rows(campaign.folder)
    order = [(r["case"], int(r["slice"])) for r in rows]
    person = Person(campaign.folder, Kind())
    assert person.key == order[0]
    person.annotate_slice()
    assert person.key == order[1]
    person.session.close()
    rows = read_rows(campaign.folder)
    rows[2]["confirmed_empty"] = "yes"  # by hand, since
    write_rows(campaign.folder, rows)
    person.start()
    assert person.key == order[1]  # where it was left
    assert person.session.progress == (2, 6)
    person.annotate_slice()
    assert person.key == order[3]
    assert person.session.progress == (3, 6)
    assert person.session.reason == "round 1, random"
    asked = person.session.campaign.asked(person.key[0])
    person.session.look(next(i for i in range(len(person.volume)) if i not in asked))
    assert person.session.reason == ""


def test_where_it_was_left_and_what_was_painted(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", Kind())
    person = Person(campaign.folder, Kind())
    person.annotate_slice()
    key = person.key
    person.paint(1)
    person.session.look(7)
    person.session.close()
    before = saved_label(campaign, key[0])
    assert (before[key[1]] == 0).all()  # nothing that was not saved is in the label
    person.start()
    assert person.key == key
    assert person.session.shown == key[1]
    assert (person.volume.planes[key[1]] == 1).all()
    person.session.next()
    assert (saved_label(campaign, key[0])[key[1]] == 1).all()


def test_unsure_comes_back_at_the_end_with_its_strokes(tmp_path: Path) -> None:
    kind = Kind()
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    key = person.key
    person.paint(person.true_plane())
    person.session.unsure("vessel?")
    assert person.key != key
    # nobody takes it for empty or done in the meantime
    assert (saved_label(campaign, key[0])[key[1]] == campaign.ignore_label).all()
    row = read_rows(campaign.folder)[0]
    assert (row["status"], row["note"]) == ("touched", "vessel?")
    person.session.close()
    person.start()
    seen = []
    while person.key != key:
        seen.append(person.key)
        person.annotate_slice()
    assert len(seen) == 5
    np.testing.assert_array_equal(person.volume.planes[key[1]], person.true_plane())
    assert person.session.next().result is Result.FINISHED
    asked = campaign.asked(key[0])
    expected = expected_label(campaign, key[0], kind, asked)
    np.testing.assert_array_equal(saved_label(campaign, key[0]), expected)


def test_empty_slices_and_suggestions_are_confirmed(tmp_path: Path) -> None:
    kind = Kind(cases=("a",))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    assert person.session.next().result is Result.CONFIRM
    assert isinstance(person.session.proposals.find(), Outcome)  # nothing is annotated yet
    assert person.session.proposals.copy_nearest().result is Result.STAYED
    first = person.true_plane()
    person.annotate_slice()
    assert person.key == ("a", 2)
    person.session.proposals.copy_nearest()
    np.testing.assert_array_equal(person.volume.planes[2], first)
    assert person.session.next().result is Result.CONFIRM
    person.session.close()
    person.start()  # it is known for a copy afterwards, too
    assert person.session.next().result is Result.CONFIRM
    assert person.session.nothing_here().result is Result.STAYED  # something is painted
    assert person.session.next(confirmed=True).result is Result.MOVED
    np.testing.assert_array_equal(saved_label(campaign, "a")[2], first)
    proposal = person.session.proposals.find()
    np.testing.assert_array_equal(proposal, first)  # beyond the outermost one
    person.session.proposals.accept()
    assert person.session.next().result is Result.CONFIRM
    person.paint(np.where(first == 1, 2, first))
    assert person.session.next().result is Result.FINISHED
    assert [t.distance for t in read_times(campaign)] == [None, 2, 3]


def test_the_veil(tmp_path: Path) -> None:
    kind = Kind(cases=("a",))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    ignore = campaign.ignore_label
    assert person.paint(1, 4) == "slice 4 was not asked for and takes no paint"
    assert (person.volume.planes[4] == ignore).all()
    plane = person.true_plane().copy()
    plane[0, :3] = ignore
    assert person.paint(plane) == f"the value {ignore} is ignore, which is not painted"
    np.testing.assert_array_equal(person.volume.planes[0], person.true_plane())
    plane[0, :3] = 77
    assert person.paint(plane) == "the value 77 is no label"
    np.testing.assert_array_equal(person.volume.planes[0], person.true_plane())
    person.annotate_all()
    assert (saved_label(campaign, "a")[4] == ignore).all()


def test_extra_slices(tmp_path: Path) -> None:
    kind = Kind(cases=("a",))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind, free=True)
    person.session.look(4)
    plane = person.volume.planes[4].copy()
    plane[2, 3:5] = 1
    assert person.paint(plane, 4) is None
    person.session.look(7)
    person.paint(1, 7)
    person.paint(0, 7)  # and erased again
    person.annotate_all()
    expected = expected_label(campaign, "a", kind, campaign.asked("a"))
    expected[4] = 0  # what is not painted there is background
    expected[4, 2, 3:5] = 1
    np.testing.assert_array_equal(saved_label(campaign, "a"), expected)
    assert [t.slice_index for t in read_times(campaign) if t.state == "extra"] == [4]


def test_back_and_forth(tmp_path: Path) -> None:
    kind = Kind()
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    keys = []
    for _ in range(4):
        keys.append(person.key)
        person.annotate_slice()
    assert person.key[0] != keys[0][0]  # another volume
    for key in reversed(keys):
        assert person.session.back().result is Result.MOVED
        assert person.key == key
    assert person.session.back().result is Result.STAYED
    person.paint(2)  # a correction
    person.session.next()
    assert person.session.progress[0] == 4
    assert (saved_label(campaign, keys[0][0])[keys[0][1]] == 2).all()
    # an empty one that is not
    empty = next(key for key in keys if key[1] == 2)
    person.session.visit(empty)
    person.paint(1)
    person.session.next()
    row = next(r for r in read_rows(campaign.folder) if (r["case"], int(r["slice"])) == empty)
    assert (row["status"], row["confirmed_empty"]) == ("done", "")


def test_time_at_work(tmp_path: Path) -> None:
    kind = Kind(cases=("a",))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    person.clock.pass_(20)
    person.paint(1)
    person.clock.pass_(61)  # a pause
    person.paint(2)
    person.clock.pass_(10)
    person.session.close()
    person.start()
    person.clock.pass_(15)
    person.paint(1)
    person.session.next()
    assert [t.seconds for t in read_times(campaign)] == [45]
    assert read_rows(campaign.folder)[0]["minutes"] == "0.75"
    person.session.back()
    person.clock.pass_(15)
    person.session.next()  # nothing has changed: it is not saved again
    person.session.back()
    person.paint(2)
    person.session.next()
    assert [t.seconds for t in read_times(campaign)] == [45, 15]
    assert read_rows(campaign.folder)[0]["minutes"] == "1.00"
    assert person.session.minutes == pytest.approx(0.5)


def test_two_people_get_two_volumes(tmp_path: Path) -> None:
    kind = Kind()
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    first = Person(campaign.folder, kind, "mk", mortal=False)
    second = Person(campaign.folder, kind, "jr", mortal=False)
    assert first.key[0] != second.key[0]
    third = Person(campaign.folder, kind, "xy", mortal=False)
    assert third.session.current is None
    finished = third.session.next()
    assert finished.result is Result.FINISHED
    assert f"{first.key[0]} is open: mk" in finished.text
    for _ in range(3):
        first.annotate_slice()
        second.annotate_slice()
    assert first.session.close() == second.session.close() == []
    assert third.session.next().text == "all slices that were asked for are annotated"
    assert {r["annotator"] for r in read_rows(campaign.folder)} == {"mk", "jr"}
    assert {r["status"] for r in read_rows(campaign.folder)} == {"done", "confirmed empty"}


def test_a_slice_that_another_program_changed_is_kept_twice(tmp_path: Path) -> None:
    kind = Kind(cases=("a",))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    later = Later()
    person = Person(campaign.folder, kind, executor=later)
    mine, other = person.true_plane(), np.full_like(person.true_plane(), 2)
    person.paint(mine)
    person.session.next()
    theirs = saved_label(campaign, "a").copy()
    theirs[0] = other
    theirs[5] = 1  # on another slice: is simply taken over
    file = campaign.label_file("a")
    affine = nibabel.load(file).affine  # type: ignore[attr-defined]
    nibabel.save(nibabel.Nifti1Image(theirs.T, affine), file)
    later.work()
    person.session.tick()
    assert person.session.problems == [
        "slice 0 of a was changed by another program as well: keep one"
    ]
    np.testing.assert_array_equal(saved_label(campaign, "a"), theirs)
    np.testing.assert_array_equal(person.volume.planes[0], mine)
    np.testing.assert_array_equal(person.volume.planes[5], other // 2)
    person.start()  # a kill: the conflict is still one
    assert len(person.session.problems) == 1
    person.session.visit(("a", 0))
    np.testing.assert_array_equal(person.volume.planes[0], mine)
    for key in (person.session.next, person.session.nothing_here, person.session.unsure):
        assert key().result is Result.STAYED
    person.session.resolve(0, mine=True)
    person.session.next()
    later.work()
    person.session.close()
    np.testing.assert_array_equal(saved_label(campaign, "a")[0], mine)


def test_what_people_write_into_the_worklist_stays(tmp_path: Path) -> None:
    kind = Kind(cases=("a",))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    rows = read_rows(campaign.folder)
    rows[0] |= {"annotator": "Ada", "minutes": "7", "note": "mine", "scanner": "old"}
    rows[1]["note"] = "and mine"
    write_rows(campaign.folder, [{"scanner": "", **row} for row in rows])
    person.session.unsure("vessel?")
    row, second, _ = read_rows(campaign.folder)
    assert (row["annotator"], row["minutes"], row["scanner"]) == ("Ada", "7", "old")
    assert row["note"] == "mine; vessel?"
    assert second["note"] == "and mine"


@pytest.mark.slow
def test_more_slices_are_asked_for_meanwhile(tmp_path: Path) -> None:
    kind = Kind()
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    person.paint(1)
    case_id, index = person.key
    extend = ["extend", str(campaign.folder), "--slices_per_volume", "2", "-np", "1"]
    assert worklist([*extend, "--selector", "random"]) == 0
    person.session.next()
    assert person.session.progress == (1, 10)
    assert (saved_label(campaign, case_id)[index] == 1).all()
    person.annotate_all()
    assert person.session.progress == (10, 10)
    person.session.close()
    assert {r["status"] for r in read_rows(campaign.folder)} == {"done", "confirmed empty"}


def test_cases_that_are_annotated_in_other_files_are_not_offered(tmp_path: Path) -> None:
    kind = Kind()
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    campaign.label_file("a").rename(campaign.folder / "labels" / "a.nii")
    campaign.label_file("b").write_bytes(b"damaged")
    session = AnnotationSession(campaign.folder, "mk")
    assert session.current is None
    assert "a.nii annotates a; only a.nii.gz is edited here" in session.blocked["a"]
    assert "b.nii.gz" in session.blocked["b"]
    session.close()
    with pytest.raises(SparseError, match="is no campaign"):
        AnnotationSession(tmp_path / "nothing", "mk")


def test_volumes_of_which_the_worklist_knows_less(tmp_path: Path) -> None:
    """Both were annotated elsewhere, and nobody has called status since."""
    kind = Kind()
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    before = (campaign.folder / "worklist.csv").read_bytes()
    Person(campaign.folder, kind).annotate_all()
    rows = read_rows(campaign.folder)
    (campaign.folder / "worklist.csv").write_bytes(before)
    write_rows(
        campaign.folder,
        [
            row | {"status": "todo", "confirmed_empty": r["confirmed_empty"]}
            for row, r in zip(read_rows(campaign.folder), rows, strict=True)
        ],
    )
    person = Person(campaign.folder, kind)
    outcome = person.session.next()
    assert person.session.progress == (6, 6)
    assert outcome.text == "all slices that were asked for are annotated"


def test_files_are_written_in_a_thread_while_work_goes_on(tmp_path: Path) -> None:
    kind = Kind(cases=("a", "b", "c"), num_labels=4)
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind, executor=ThreadPoolExecutor(1))
    key = person.key
    person.paint(1)
    person.session.next()
    person.session.back()  # while that may be being written
    person.paint(person.true_plane())
    person.annotate_all()
    person.session.tick()
    assert person.session.close() == []
    for case_id in kind.cases:
        expected = expected_label(campaign, case_id, kind, campaign.asked(case_id))
        np.testing.assert_array_equal(saved_label(campaign, case_id), expected)
    times = read_times(campaign)
    assert sum(t.seconds for t in times) == pytest.approx(person.session.minutes * 60)
    assert {(t.case_id, t.slice_index) for t in times} >= {key}


def test_read_only_folders_are_refused_at_once(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", Kind())
    with without("mkdir", "open"), pytest.raises(OSError, match="Operation not permitted"):
        AnnotationSession(campaign.folder, "mk")


def test_it_is_known_before_closing_what_would_be_lost(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", Kind())
    person = Person(campaign.folder, Kind())
    assert person.session.keep() == []
    person.paint(1)
    with without("open"):
        (line,) = person.session.keep()
    assert "nnsparse_journal: Operation not permitted" in line
    assert person.session.keep() == []
    painted = person.volume.planes[person.session.shown].copy()
    person.start()  # it was killed
    np.testing.assert_array_equal(person.volume.planes[person.session.shown], painted)


def test_on_file_systems_without_links_and_locks(tmp_path: Path) -> None:
    kind = Kind()
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    with without("link", "symlink", "flock", "chmod"):
        person = Person(campaign.folder, kind, mortal=False)
        other = Person(campaign.folder, kind, "jr", mortal=False)
        person.annotate_slice()
        other.annotate_slice()
        assert person.session.close() == other.session.close() == []
        person.start()
        person.annotate_all()
        assert person.session.close() == []
    for case_id in kind.cases:
        expected = expected_label(campaign, case_id, kind, campaign.asked(case_id))
        np.testing.assert_array_equal(saved_label(campaign, case_id), expected)
    assert {p.name for p in campaign.folder.iterdir() if p.name[0] == "."} == set()


@pytest.fixture
def predicted(tmp_path: Path) -> tuple[Kind, Campaign]:
    """A second round, in which a network predicts label 1 on slice 1 and nothing on slice 3."""
    kind = Kind(cases=("a",), asked=(0,))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    label = np.zeros((2, *kind.shape[1:]), np.uint8)
    label[0, 2:5, 1:4] = 1
    uncertainty = np.zeros_like(label)
    entropy, rank = np.array([0.52, 0.25]), np.array([3, 7])
    found = PredictedSlices(np.array([1, 3]), label, uncertainty, entropy, rank, 8)
    found.write(predictions_file(campaign, 1, "a"), campaign.folder)
    variant = Variant(0.4, 1.0, "entropy")
    network = {"digest": "0"}
    asking = Round(variant, {"a": (1, 3)}, network=network, is_prefilled=True)
    campaign = campaign.with_round(asking)
    prefill(campaign, 1)
    campaign = campaign.completed()
    campaign.write()
    write_worklist(campaign, Answers())
    return kind, campaign


def test_predictions_are_corrected_or_confirmed(predicted: tuple[Kind, Campaign]) -> None:
    kind, campaign = predicted
    person = Person(campaign.folder, kind)
    person.annotate_slice()
    assert person.key == ("a", 1)
    assert person.session.reason == "round 2, entropy: entropy 0.52, rank 3 of 8"
    said = person.volume.planes[1].copy()
    assert said.sum() == 9
    assert person.session.next().result is Result.CONFIRM
    assert person.session.unsure("later").result is Result.MOVED
    assert person.key == ("a", 3)
    assert person.session.next().result is Result.CONFIRM  # nothing is predicted there
    assert person.session.nothing_here().result is Result.MOVED
    np.testing.assert_array_equal(person.volume.planes[1], said)
    assert person.session.note == "later"
    assert person.session.next().result is Result.CONFIRM
    assert person.session.next(confirmed=True).result is Result.FINISHED
    assert person.session.close() == []
    rows = read_rows(campaign.folder)
    assert [r["confirmed"] for r in rows] == ["", "yes", ""]
    assert [r["status"] for r in rows] == ["done", "done", "confirmed empty"]
    before = (campaign.folder / "worklist.csv").read_bytes()
    assert worklist(["status", str(campaign.folder), "-np", "1"]) == 0
    assert (campaign.folder / "worklist.csv").read_bytes() == before


def test_predictions_that_are_erased_or_painted_on(predicted: tuple[Kind, Campaign]) -> None:
    kind, campaign = predicted
    person = Person(campaign.folder, kind)
    person.session.visit(("a", 1))
    assert person.session.nothing_here().result is Result.STAYED
    person.paint(0)
    assert person.session.next().result is Result.CONFIRM
    assert person.session.nothing_here().result is Result.MOVED
    assert read_rows(campaign.folder)[1]["status"] == "confirmed empty"
    person.session.visit(("a", 1))
    person.paint(2)
    person.session.next()
    row = read_rows(campaign.folder)[1]
    assert (row["status"], row["confirmed_empty"], row["confirmed"]) == ("done", "", "")
    person.session.close()
