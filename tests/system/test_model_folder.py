from pathlib import Path

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.model_folder import ModelFolder

RECORD = {"cases": ("a", "b"), "seed": 0}


@pytest.fixture
def model(tmp_path):
    return ModelFolder(tmp_path / "mae", "train -d 4")


def train(model, error, write=False):
    with model.training(RECORD, False) as needed:
        assert needed
        assert model.path.is_dir()
        if write:
            model.latest.write_bytes(b"state")
        raise error


@pytest.mark.parametrize("error", [SparseError, KeyboardInterrupt])
def test_a_training_that_fails_at_once_leaves_no_folder(model, error):
    with pytest.raises(error):
        train(model, error)
    assert not model.path.exists()


def test_the_state_of_a_killed_training_stays(model):
    with pytest.raises(KeyboardInterrupt):
        train(model, KeyboardInterrupt, write=True)
    assert model.latest.read_bytes() == b"state"


def test_what_is_there_is_used_or_refused_but_not_replaced(model):
    model.path.mkdir()
    model.checkpoint.write_bytes(b"network")
    model.record_file.write_text('{"cases": ["a", "b"], "seed": 0, "num_steps": 7}')
    with model.training(RECORD, False) as needed:
        assert not needed
    with model.training(RECORD, True) as needed:
        assert needed
    with (
        pytest.raises(SparseError, match="trained with other cases, seed: train -d 4 --overwrite"),
        model.training({"cases": ("a",), "seed": 1}, False),
    ):
        pass
    assert model.checkpoint.read_bytes() == b"network"


def test_what_cannot_be_removed_is_left(model, monkeypatch):
    """As in a folder without write permission, whose files have it."""
    model.path.mkdir()
    for file in (model.checkpoint, model.latest, model.path / ".lock"):
        file.write_bytes(b"")
    model.record_file.write_text('{"cases": ["a", "b"], "seed": 0}')

    def refuse(*_args, **_options):
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(2):
        with model.training(RECORD, False) as needed:
            assert not needed
    assert model.latest.exists()
