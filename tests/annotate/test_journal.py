import zlib
from pathlib import Path

import numpy as np
import pytest

from nnunet_sparse.annotate.journal import Journal, Unsaved, find_journals, read_journal
from nnunet_sparse.annotate.slice_work import Decision, Draft
from nnunet_sparse.system.errors import SparseError

PLANE = np.arange(12, dtype=np.uint8).reshape(3, 4)
DRAFT = Draft(PLANE, 7, "mk", 8)
DECISION = Decision(PLANE[::-1].copy(), (1, 2), "done", "visit", "mk", 2.5, True, "é; x", 4, True)


def written(folder: Path, unsaved: Unsaved) -> Path:
    folder.mkdir()
    journal = Journal(folder, "a.b", "0123abcd")
    journal.keep(unsaved)
    return journal.file


def check_equal(found: Unsaved, expected: Unsaved) -> None:
    assert found.seconds == expected.seconds
    for one, other in ((found.drafts, expected.drafts), (found.decisions, expected.decisions)):
        assert list(one) == list(other)
        for index, work in one.items():
            values, wanted = vars(work), vars(other[index])
            np.testing.assert_array_equal(values["plane"], wanted["plane"])
            assert {**values, "plane": 0} == {**wanted, "plane": 0}


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    unsaved = Unsaved({3: DRAFT, 1: DRAFT}, {1: DECISION}, {1: 0.5, 3: 0.0, 2: 4.0})
    file = written(tmp_path / "labels", unsaved)
    found = read_journal(file, (3, 4), np.dtype(np.uint8), range(12))
    del unsaved.seconds[3]
    found.seconds = {k: v for k, v in found.seconds.items() if v}
    check_equal(found, unsaved)
    assert find_journals(file.parent, "a.b") == [file]
    assert find_journals(file.parent, "a") == []


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_records_before_a_torn_one(tmp_path: Path, cut: int) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    journal, unsaved = Journal(folder, "a", "0123abcd"), Unsaved()
    for index in range(3):
        unsaved.drafts[index] = DRAFT
        journal.draft(index, DRAFT, unsaved)
    content = journal.file.read_bytes()
    records = content.split(b"\n\n")
    cut = min(cut, len(content))
    journal.file.write_bytes(content[:cut])
    whole = sum(len(b"\n\n".join(records[: k + 1]).rstrip()) <= cut for k in range(3))
    found = read_journal(journal.file, (3, 4), np.dtype(np.uint8), range(12))
    assert list(found.drafts) == list(range(whole))
    # what comes after a torn record is read as well
    journal = Journal(folder, "a", "0123abcd")
    with journal.file.open("ab") as file:
        file.write(content)
    found = read_journal(journal.file, (3, 4), np.dtype(np.uint8), range(12))
    assert list(found.drafts) == [0, 1, 2]


def test_a_journal_that_was_taken_away_is_written_anew(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    journal, unsaved = Journal(folder, "a", "0123abcd"), Unsaved({0: DRAFT})
    journal.draft(0, DRAFT, unsaved)
    journal.file.unlink()
    unsaved.drafts[1] = DRAFT
    journal.draft(1, DRAFT, unsaved)
    check_equal(
        read_journal(journal.file, (3, 4), np.dtype(np.uint8), range(12)),
        Unsaved(dict(unsaved.drafts), {}, {0: 0.0, 1: 0.0}),
    )
    journal.keep(Unsaved())
    assert not journal.file.exists()


@pytest.mark.parametrize(
    ("shape", "labels"), [((3, 5), range(12)), ((3, 3), range(12)), ((3, 4), range(11))]
)
def test_strokes_of_another_campaign(tmp_path: Path, shape: tuple[int, int], labels: range) -> None:
    file = written(tmp_path / "labels", Unsaved({3: DRAFT}))
    with pytest.raises(SparseError, match="not on slices of this campaign"):
        read_journal(file, shape, np.dtype(np.uint8), labels)


@pytest.mark.parametrize("record", ["[]", "3", '{"kind": "draft"}', '{"slice": "a"}', "{"])
def test_records_that_are_none(tmp_path: Path, record: str) -> None:
    file = tmp_path / ".a.0123abcd.nnsparse_journal"
    file.write_bytes(b"%08x %s\n" % (zlib.crc32(record.encode()), record.encode()))
    with pytest.raises(SparseError, match="not on slices of this campaign"):
        read_journal(file, (3, 4), np.dtype(np.uint8), range(12))
