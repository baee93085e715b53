import errno
from pathlib import Path
from typing import NoReturn

import pytest
from plain_file_systems import LACKING, without

from nnunet_sparse.system.links import link_file


def source_of(folder: Path) -> Path:
    source = folder / "data" / "source"
    source.parent.mkdir()
    source.write_text("content")
    return source


@pytest.mark.parametrize("hard", [False, True])
def test_first_choice(tmp_path: Path, hard: bool) -> None:
    source, link = source_of(tmp_path), tmp_path / "link"
    link_file(source, link, hard)
    assert link.is_symlink() is not hard
    assert link.samefile(source)


@pytest.mark.parametrize("hard", [False, True])
def test_second_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard: bool) -> None:
    refuse(monkeypatch, "hardlink_to" if hard else "symlink_to")
    source, link = source_of(tmp_path), tmp_path / "link"
    link_file(source, link, hard)
    assert link.is_symlink() is hard
    assert link.samefile(source)


@pytest.mark.parametrize("hard", [False, True])
def test_last_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard: bool) -> None:
    refuse(monkeypatch, "hardlink_to")
    refuse(monkeypatch, "symlink_to")
    source, link = source_of(tmp_path), tmp_path / "link"
    link_file(source, link, hard)
    assert not link.samefile(source)
    assert link.read_text("utf-8") == "content"
    assert link.stat().st_mtime_ns == source.stat().st_mtime_ns


def test_existing_links_stay(tmp_path: Path) -> None:
    source, link = source_of(tmp_path), tmp_path / "link"
    link.write_text("other")
    link_file(source, link)
    assert link.read_text("utf-8") == "other"


@pytest.mark.parametrize("hard", [False, True])
def test_broken_links_stay(tmp_path: Path, hard: bool) -> None:
    """Nothing is written to where they lead."""
    source, link = source_of(tmp_path), tmp_path / "link"
    link.symlink_to("gone")
    link_file(source, link, hard)
    assert link.readlink() == Path("gone")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "link"}


def refuse(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError

    monkeypatch.setattr(Path, method, fail)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", full)
    with pytest.raises(OSError, match="No space left"):
        link_file(source_of(tmp_path), tmp_path / "link")
    assert not (tmp_path / "link").exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK])
@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING.keys())
def test_every_way_in_which_links_are_refused(
    tmp_path: Path, lacking: tuple[str, ...], number: int
) -> None:
    source, link = source_of(tmp_path), tmp_path / "link"
    with without(*lacking, number=number):
        link_file(source, link, hard=True)
    assert link.read_text("utf-8") == "content"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "link"}
