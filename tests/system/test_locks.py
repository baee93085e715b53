import errno
import fcntl
import multiprocessing
import os
import signal
from pathlib import Path

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
