from pathlib import Path

import pytest

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
