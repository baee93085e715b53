import errno
import fcntl
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from plain_file_systems import failing
from waiting import GUARD_S, calling_on_message, wait_for

from nnunet_sparse.system.locks import held_if_free, locked, try_lock, unlock


def test_a_lock_is_held_once_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = try_lock(path)
    assert lock is not None
    with held_if_free(path) as held:
        assert not held
    assert path.exists()
    unlock(lock)
    assert not path.exists()
    with held_if_free(path) as held:
        assert held
        assert try_lock(path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["precious", "nothing", "lock", "."])
def test_links_of_strangers_are_no_locks(tmp_path: Path, target: str) -> None:
    """What they lead to stays as it is, and one that leads to nothing is not waited for."""
    (tmp_path / "precious").write_text("mine", encoding="utf-8")
    for hold in (held_if_free, locked):
        (tmp_path / "lock").symlink_to(target)
        with hold(tmp_path / "lock"):
            assert not (tmp_path / "lock").is_symlink()
        assert [path.name for path in tmp_path.iterdir()] == ["precious"]
        assert (tmp_path / "precious").read_text("utf-8") == "mine"


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    for hold in (held_if_free, locked):
        with pytest.raises(ZeroDivisionError), hold(tmp_path / "lock"):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []


def test_where_there_can_be_no_file(tmp_path: Path) -> None:
    with held_if_free(tmp_path / "nowhere" / "lock") as held:
        assert not held
    with pytest.raises(FileNotFoundError), locked(tmp_path / "nowhere" / "lock"):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_file_systems_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(number))
    test_a_lock_is_held_once_and_leaves_no_file(tmp_path)
    test_it_is_given_back_after_an_error(tmp_path)


def _hold_and_wait(path: Path) -> None:
    with locked(path):
        (path.parent / "held").touch()
        signal.pause()


def test_without_locks_a_killed_process_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOSYS))
    path = tmp_path / "lock"
    holder = multiprocessing.get_context("fork").Process(target=_hold_and_wait, args=(path,))
    holder.start()
    wait_for(tmp_path / "held")
    assert try_lock(path) is None

    def kill() -> None:
        holder.kill()
        holder.join(GUARD_S)

    with calling_on_message(f"Delete {path}", kill), locked(path):
        assert holder.exitcode == -signal.SIGKILL
        assert str(os.getpid()) in path.read_text("utf-8")
    assert not path.exists()


def test_other_errors_of_locks_name_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with pytest.raises(OSError, match="lock") as caught, locked(tmp_path / "lock"):
        pass
    assert caught.value.filename == str(tmp_path / "lock")


@pytest.fixture
def of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lock of another user in a folder of both: it may be read and removed, not written."""
    path = tmp_path / "lock"
    path.touch()
    theirs = path.stat()
    plain_open = os.open

    def opened(file: Any, flags: int, *mode: int) -> int:
        is_theirs = Path(file) == path and path.exists() and path.samefile(path)
        if is_theirs and path.stat().st_ino == theirs.st_ino and flags & os.O_RDWR:
            if flags & os.O_EXCL:
                raise FileExistsError(errno.EEXIST, "File exists", str(path))
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain_open(file, flags, *mode)

    monkeypatch.setattr(os, "open", opened)
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own if not path.exists() else own + 1)
    return path


def test_a_lock_of_another_user_is_waited_for(of_another: Path) -> None:
    holder = os.fdopen(_descriptor_of(of_another), "rb")
    fcntl.flock(holder, fcntl.LOCK_EX)
    messages = []

    def give_back() -> None:
        messages.append("waiting")
        of_another.unlink()
        holder.close()

    assert try_lock(of_another) is None
    with held_if_free(of_another) as held:
        assert not held
    with calling_on_message("belongs to", give_back), locked(of_another, "Somebody is at work"):
        assert of_another.exists()
    assert messages == ["waiting"]
    assert not of_another.exists()


def test_a_lock_that_a_killed_process_of_another_user_has_left_is_removed(of_another: Path) -> None:
    with locked(of_another):
        assert of_another.exists()
    assert not of_another.exists()


def _descriptor_of(path: Path) -> int:
    return os.open(path, os.O_RDONLY)
