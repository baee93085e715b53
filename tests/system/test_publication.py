import shutil
from pathlib import Path

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.publication import MARKER, begin, publication


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def make(target: Path, *written: str, request: int = 0, resume: bool = True) -> None:
    """Publish a folder of these files; ``stop`` and ``fail`` end the work there."""
    partial = target.with_name(f".nnsparse_partial_{target.name}")
    with (
        publication(target, partial, {"request": request}, resume=resume) as new,
        new.making() as folder,
    ):
        for name in written:
            if name == "stop":
                raise KeyboardInterrupt
            if name == "fail":
                raise RuntimeError
            (folder / name).touch()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "above" / "target"


def test_whole_or_not_at_all(target: Path) -> None:
    with pytest.raises(RuntimeError):
        make(target, "a", "fail")
    assert not target.parent.exists()
    make(target, "a", "b")
    assert names(target.parent) == {"target/a", "target/b"}
    make(target, "c")
    assert names(target.parent) == {"target/c"}


def test_an_interrupted_call_is_gone_on_with(target: Path) -> None:
    partial = f".nnsparse_partial_{target.name}"
    for request, resume, expected in ((0, True, "ab"), (1, True, "b"), (0, False, "b")):
        with pytest.raises(KeyboardInterrupt):
            make(target, "a", "stop")
        assert names(target.parent) == {f"{partial}/a", f"{partial}/{MARKER}"}
        make(target, "b", request=request, resume=resume)
        assert names(target) == set(expected)
        (target / "b").unlink()
        for left in target.iterdir():
            left.unlink()
        target.rmdir()
        target.parent.rmdir()


def test_a_failure_leaves_what_was_to_be_replaced(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(target, "a")
    with pytest.raises(RuntimeError):
        make(target, "b", "fail")
    rename = Path.rename

    def failing(path: Path, other: Path) -> Path:
        if path.name.startswith(".nnsparse_partial"):
            raise PermissionError
        return rename(path, other)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(PermissionError):
            make(target, "b")
    assert names(target) == {"a"}


@pytest.mark.parametrize("is_replaced", [False, True])
def test_what_a_kill_leaves_of_a_replacement(target: Path, is_replaced: bool) -> None:
    old, gone = (target.with_name(f".nnsparse_{name}_target") for name in ("old", "gone"))
    for folder in (old, gone):
        folder.mkdir(parents=True)
        (folder / "old").touch()
    if is_replaced:
        target.mkdir()
        for name in ("new", MARKER):
            (target / name).touch()
    with publication(target, target.with_name(".nnsparse_partial"), {}):
        assert names(target) == {"new" if is_replaced else "old"}
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_partial_has_its_marker_from_its_first_moment(tmp_path: Path) -> None:
    partial = tmp_path / ".nnsparse_partial"
    partial.mkdir()  # of an earlier version, which had not begun
    assert begin(partial, {}, "key")
    assert not begin(partial, {}, "key")
    assert [path.name for path in partial.iterdir()] == [MARKER]
    assert list(tmp_path.iterdir()) == [partial]


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    elsewhere, target = tmp_path / "disk" / "data", tmp_path / "raw" / "target"
    elsewhere.mkdir(parents=True)
    (elsewhere / "file").touch()
    target.parent.mkdir()
    target.symlink_to(elsewhere)
    for number in range(3):  # what is left of one replacement would be in the way of a later one
        partial = target.with_name(".nnsparse_partial")
        with publication(target, partial, {"n": number}) as new, new.making() as folder:
            (folder / "number").write_text(str(number), encoding="utf-8")
        assert [path.name for path in target.parent.iterdir()] == ["target"]
        assert (target / "number").read_text(encoding="utf-8") == str(number)
    assert (elsewhere / "file").exists()


def test_a_link_to_nothing_is_no_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.symlink_to(tmp_path / "unmounted")
    with (
        pytest.raises(SparseError, match=r"a link to .*unmounted, which does not exist"),
        publication(target, tmp_path / ".nnsparse_partial", {}),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("kept", ["all", "one folder"])
def test_what_cannot_be_removed_is_not_in_the_way(
    target: Path, kept: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As folders that are protected against writing: others are replaced all the same."""
    make(target, "a", "b")

    def remove(folder: Path, ignore_errors: bool = False) -> None:
        assert ignore_errors
        if kept == "one folder":
            (folder / "a").unlink(missing_ok=True)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", remove)
        for number in range(4):
            make(target, str(number), "a", "b")
            assert names(target) == {str(number), "a", "b"}
    old = sorted(path.name for path in target.parent.iterdir() if path.name[0] == ".")
    assert [name.removeprefix(".nnsparse_gone_old_target") for name in old] == [
        "",
        "_2",
        "_3",
        "_4",
    ]
    assert [message.split()[0] for message in caplog.messages] == [
        str(target.parent / o) for o in old
    ]
    make(target, "a")
    assert [path.name for path in target.parent.iterdir()] == ["target"]
