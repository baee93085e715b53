import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from plain_file_systems import without

from nnunet_sparse.annotate.lease import STALE_S, Holder, Lease, lease_file, take_lease

HERE = Holder.here("mk", "00000001")
OTHER = Holder.here("jr", "00000002")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    folder.mkdir()
    return folder


def taken(labels: Path, holder: Holder) -> Lease:
    lease = take_lease(labels, "a", holder)
    assert isinstance(lease, Lease)
    return lease


@pytest.mark.parametrize("lacking", [(), ("flock",), ("link", "symlink", "flock", "chmod")])
def test_one_session_has_a_volume(labels: Path, lacking: tuple[str, ...]) -> None:
    with without(*lacking) if lacking else nullcontext():
        lease = taken(labels, HERE)
        assert take_lease(labels, "a", OTHER) == HERE
        assert isinstance(take_lease(labels, "b", OTHER), Lease)
        assert taken(labels, HERE).is_ours()  # the same session again
        lease.release()
        other = taken(labels, OTHER)
        assert not lease.renew()
        lease.release()  # of somebody else
        assert other.is_ours()
    assert {path.name for path in labels.iterdir()} == {".a.nnsparse_open", ".b.nnsparse_open"}


@pytest.mark.parametrize(
    ("gone", "age", "is_free"),
    [
        ({"started": "1"}, 0, True),  # its process has ended, the number is another's
        ({"pid": 2**22 + 1}, 0, True),
        ({}, 10 * STALE_S, False),  # alive, however long it is busy
        ({"host": "elsewhere/pid:[1]"}, STALE_S - 30, False),
        ({"host": "elsewhere/pid:[1]"}, STALE_S + 30, True),
        ({"boot": "before"}, STALE_S - 30, False),  # or a machine that is called the same
        ({"boot": "before"}, STALE_S + 30, True),
    ],
)
def test_leases_left_behind(
    labels: Path, gone: dict[str, object], age: float, is_free: bool
) -> None:
    lease = taken(labels, replace(OTHER, **gone))  # type: ignore[arg-type]
    file = lease_file(labels, "a")
    now = file.stat().st_mtime
    os.utime(file, (now - age, now - age))
    found = take_lease(labels, "a", HERE)
    assert isinstance(found, Lease) == is_free
    assert lease.is_ours() != is_free


def test_a_damaged_file_is_no_lease(labels: Path) -> None:
    for content in ("", "[]", '{"host": 1}'):
        lease_file(labels, "a").write_text(content, "utf-8")
        taken(labels, HERE).release()
