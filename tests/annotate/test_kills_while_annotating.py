"""A session whose process ends at any of its changes of files; another one goes on."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from annotate.phantom_campaign import (
    Kind,
    Person,
    SameThread,
    expected_label,
    phantom_campaign,
    saved_label,
)
from campaign.annotator import read_rows
from system.file_changes import KILLED, Changes, in_child

from nnunet_sparse.annotate.outcome import Result
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.progress import find_progress
from nnunet_sparse.campaign.slice_times import read_times

EVERY = bool(os.environ.get("NNSPARSE_EVERY_CHANGE"))
KIND = Kind(cases=("a",), asked=(0, 2, 5))


def work(folder: Path, count: Path, way: str, last: int) -> int:
    """Save two slices, paint a third; how many changes of files that were goes into a file."""
    os.chdir(folder)
    changes = Changes(way, last)
    sys.addaudithook(changes)
    person = Person(folder, KIND, mortal=False)
    for done in (1, 2):
        person.annotate_slice()
        os.write(os.open(count, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), f"{done} 0".encode())
    person.clock.pass_(3)
    person.paint(1)
    person.session.close()
    os.write(os.open(count, os.O_WRONLY), f"3 {changes.count}".encode())
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("way", ["kill", "torn"])
def test_kills_at_every_change_of_files(tmp_path: Path, way: str) -> None:
    fresh = phantom_campaign(tmp_path / "fresh", KIND)
    folder, count = tmp_path / "campaign", tmp_path / "count"
    campaign = Campaign(folder, *(getattr(fresh, n) for n in _FIELDS))

    def run(last: int) -> tuple[int, int]:
        """Exit status, and how many actions have ended."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(fresh.folder, folder)
        count.write_text("0 0")
        status = in_child(lambda: work(folder, count, way, last), tmp_path / "log")
        return status, int(count.read_text().split()[0])

    assert run(0) == (0, 3), (tmp_path / "log").read_text()
    number = int(count.read_text().split()[1])
    assert number > 30
    for last in range(1, number + 1, 1 if EVERY else number // 4):
        status, done = run(last)
        assert status == KILLED, (last, (tmp_path / "log").read_text())
        _, progress = find_progress(campaign, None, None, 1)
        assert progress.cases["a"].problem is None
        person = Person(folder, KIND)
        # what was decided when a key had come back is decided
        assert person.session.progress[0] >= min(done, 2), last
        if done == 3:
            assert (person.volume.planes[5] == 1).all()
        person.annotate_all()
        assert person.session.next().result is Result.FINISHED
        assert person.session.close() == []
        expected = expected_label(campaign, "a", KIND, campaign.asked("a"))
        np.testing.assert_array_equal(saved_label(campaign, "a"), expected)
        times = read_times(campaign)
        assert len({time.visit for time in times}) == len(times)
        assert {time.slice_index for time in times} == {0, 2, 5}
        assert {r["status"] for r in read_rows(folder)} == {"done", "confirmed empty"}
        left = {p.name for p in (folder / "labels").iterdir() if "left" not in p.name}
        assert left == {"a.nii.gz"}, last


_FIELDS = ("dataset", "axis", "plane", "volumes", "rounds", "request")


def test_a_session_without_a_window_can_be_left(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    session = AnnotationSession(campaign.folder, executor=SameThread())
    assert session.close() == []
