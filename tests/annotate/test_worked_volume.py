import errno
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from annotate.phantom_campaign import (
    Kind,
    Later,
    Person,
    SameThread,
    phantom_campaign,
    saved_label,
)
from campaign.annotator import read_rows
from plain_file_systems import failing

from nnunet_sparse.annotate.outcome import Result
from nnunet_sparse.system import atomic

KIND = Kind(cases=("a",))


def test_strokes_survive_a_kill_but_for_the_last_seconds(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    person = Person(campaign.folder, KIND)
    person.clock.pass_(3)
    person.paint(1)
    person.clock.pass_(1)
    person.paint(2)  # within the two seconds between two records
    person.start()
    assert (person.volume.planes[0] == 1).all()
    person.clock.pass_(3)
    person.paint(2)
    person.clock.pass_(1)
    person.paint(1)
    person.clock.pass_(1)
    person.session.tick()  # the window's timer
    person.start()
    assert (person.volume.planes[0] == 1).all()
    person.session.next()
    assert (saved_label(campaign, "a")[0] == 1).all()


def test_decisions_survive_a_kill_before_they_are_written(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    person = Person(campaign.folder, KIND, executor=Later())
    truth = person.true_plane()
    for _ in range(2):
        person.annotate_slice()
    assert (saved_label(campaign, "a")[0] == 0).all()  # nothing was written yet
    person.start()
    assert person.session.progress == (2, 3)
    person.executor = SameThread()
    person.start()
    assert person.session.close() == []
    np.testing.assert_array_equal(saved_label(campaign, "a")[0], truth)
    rows = read_rows(campaign.folder)
    assert [r["status"] for r in rows] == ["done", "confirmed empty", "todo"]
    assert [r["minutes"] for r in rows] == ["0.17", "0.17", ""]


def test_a_full_disk_is_said_and_strokes_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    person = Person(campaign.folder, KIND)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(errno.ENOSPC))
        patch.setattr(atomic, "_claim", failing(errno.ENOSPC))
        person.clock.pass_(3)
        person.paint(1)
        (problem,) = person.session.problems
        assert "No space left on device; they are kept here" in problem
        person.clock.pass_(3)
        person.paint(2)
        assert person.session.next().result is Result.MOVED
        assert len(person.session.problems) >= 2
        assert (person.volume.planes[0] == 2).all()
    assert os.write is real
    person.clock.pass_(11)
    person.session.tick()
    assert person.session.problems == []
    assert (saved_label(campaign, "a")[0] == 2).all()
    person.start()
    assert not person.session.queue.is_open(("a", 0))


def test_a_torn_record_is_passed_over(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    person = Person(campaign.folder, KIND)
    for value in (1, 2):
        person.clock.pass_(3)
        person.paint(value)
    (journal,) = (campaign.folder / "labels").glob(".a.*.nnsparse_journal")
    os.truncate(journal, journal.stat().st_size - 5)
    person.start()
    assert (person.volume.planes[0] == 1).all()


def test_a_file_that_cannot_be_written_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    person = Person(campaign.folder, KIND)
    (campaign.folder / "worklist.csv").write_bytes(b"PK\x03\x04")  # saved as a workbook
    person.annotate_slice()
    (problem,) = person.session.problems
    assert "worklist.csv is a workbook" in problem
    assert "worklist.csv is a workbook" in person.session.close()[0]
    (campaign.folder / "worklist.csv").unlink()
    person.start()
    person.clock.pass_(11)
    person.session.tick()
    assert person.session.close() == []
    assert [r["status"] for r in read_rows(campaign.folder)] == ["done", "todo", "todo"]
    assert read_rows(campaign.folder)[0]["minutes"] == "0.17"
    del monkeypatch


def test_a_label_that_another_program_writes_is_seen_before_anything_is_saved(
    tmp_path: Path,
) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    person = Person(campaign.folder, KIND)
    person.paint(1)
    file = campaign.label_file("a")
    theirs = saved_label(campaign, "a").copy()
    theirs[0], theirs[5] = 2, 1
    affine = nibabel.load(file).affine  # type: ignore[attr-defined]
    nibabel.save(nibabel.Nifti1Image(theirs.T, affine), file)  # type: ignore[attr-defined]
    content = file.read_bytes()
    person.clock.pass_(11)
    person.session.tick()
    assert (person.volume.planes[5] == 1).all()
    assert (person.volume.planes[0] == 1).all()  # what was painted
    assert person.session.problems == [
        "slice 0 of a was changed by another program as well: keep one"
    ]
    file.write_bytes(content[:50])  # in the middle of being written
    person.clock.pass_(11)
    person.session.tick()
    assert any("a.nii.gz" in line for line in person.session.problems)
    file.write_bytes(content)
    person.clock.pass_(11)
    person.session.tick()
    assert len(person.session.problems) == 1
    assert file.read_bytes() == content


def test_a_session_that_slept_writes_no_more(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    asleep = Person(campaign.folder, KIND, "mk")
    asleep.clock.pass_(3)
    asleep.paint(1)
    other = Person(campaign.folder, KIND, "jr")  # finds that nobody is there any more
    assert (other.volume.planes[0] == 1).all()
    asleep.clock.pass_(60)
    asleep.session.tick()
    (problem,) = asleep.session.problems
    assert "a was taken over by another session" in problem
    asleep.paint(2)
    asleep.session.next()
    assert (saved_label(campaign, "a")[0] == 0).all()
    other.session.next()
    assert (saved_label(campaign, "a")[0] == 1).all()
    other.session.close()
    assert any("taken over" in line for line in asleep.session.close())
    # what was decided too late is shown beside what the other one saved
    other.start()
    assert other.session.problems == [
        "slice 0 of a was changed by another program as well: keep one"
    ]
    assert (saved_label(campaign, "a")[0] == 1).all()
    assert (other.volume.planes[0] == 2).all()
    other.session.resolve(0, mine=False)
    assert (other.volume.planes[0] == 1).all()
    assert other.session.problems == []
