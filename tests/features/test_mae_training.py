import shutil

import numpy as np
import pytest
import torch

from nnunet_sparse.features.mae_presets import MAE_PRESETS, MaePreset, MaeSize
from nnunet_sparse.features.mae_training import batch_indices, set_up_mae
from nnunet_sparse.system import resumable
from nnunet_sparse.system.devices import best_device
from nnunet_sparse.system.errors import SparseError

PRESET = MaePreset(MaeSize(8, 1, 2, 8, 1, 2), 8, 4, 12 * 30, 100, 2, 1e-3)
CPU = torch.device("cpu")


@pytest.fixture
def slices():
    return np.random.default_rng(0).normal(size=(10, 1, 6, 8)).astype(np.float16)


def run(slices, checkpoint, seed=0, record="x"):
    setup = set_up_mae(slices, PRESET, (3, 4), 2, seed, CPU)
    losses = resumable.train_resumably(setup, CPU, checkpoint, {"what": record}, "network")
    return torch.cat([p.detach().flatten() for p in setup.network.parameters()]), losses


def test_the_seed_decides_everything(slices, tmp_path):
    first, losses = run(slices, tmp_path / "a.pth")
    assert len(losses) == 8  # 30 views in batches of 4
    again, _ = run(slices, tmp_path / "b.pth")
    other, _ = run(slices, tmp_path / "c.pth", seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not list(tmp_path.iterdir())


def test_it_says_how_long_it_takes_before_the_first_step(slices, tmp_path, caplog, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(resumable.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(
        resumable.tqdm, "update", lambda _: pytest.fail("not said before the first step")
    )
    caplog.set_level("INFO", "nnunet_sparse")
    with pytest.raises(pytest.fail.Exception):
        run(slices, tmp_path / "a.pth")
    assert "This takes about 8 s" in caplog.text  # 8 steps of one tick


def test_a_killed_training_ends_as_one_that_was_not(slices, tmp_path, monkeypatch):
    expected, losses = run(slices, tmp_path / "a.pth")
    monkeypatch.setattr(resumable, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    save = resumable._save

    def save_and_die(parts, losses, *rest):
        save(parts, losses, *rest)
        if len(losses) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(resumable, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        run(slices, tmp_path / "b.pth")
    monkeypatch.setattr(resumable, "_save", save)
    shutil.copy(tmp_path / "b.pth", tmp_path / "c.pth")
    found, all_losses = run(slices, tmp_path / "b.pth")
    assert torch.equal(found, expected)
    assert all_losses == losses
    # that of another training is not continued
    assert torch.equal(run(slices, tmp_path / "c.pth", record="other")[0], expected)


def test_a_damaged_checkpoint_is_named(slices, tmp_path):
    (tmp_path / "a.pth").write_bytes(b"none")
    with pytest.raises(SparseError, match=r"a\.pth cannot be continued"):
        run(slices, tmp_path / "a.pth")


def test_every_slice_is_shown_equally_often():
    shown = torch.cat([batch_indices(10, 4, 0, step) for step in range(25)])
    assert torch.bincount(shown).tolist() == [10] * 10
    for epoch in shown.split(10):
        assert len(epoch.unique()) == 10


def test_length_of_a_training():
    assert PRESET.num_steps(10**6, 12) == 8
    assert PRESET.num_steps(10**6, 24) == 4
    assert PRESET.num_steps(1, 2) == 25
    assert PRESET.num_steps(10**6, 10**6) == 2
    assert MAE_PRESETS["tiny"].num_steps(1, 100) == 400


def test_devices():
    assert best_device("cpu") == CPU
    with pytest.raises(SparseError, match="'quantum' cannot be used: choose cpu or cuda"):
        best_device("quantum")
