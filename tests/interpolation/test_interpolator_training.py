from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunet_sparse.interpolation import interpolator_training as training
from nnunet_sparse.interpolation.interpolator_presets import InterpolatorPreset
from nnunet_sparse.interpolation.interpolator_training import (
    draw_slices,
    reconstruct,
    set_up_interpolator,
    volume_scale,
)
from nnunet_sparse.interpolation.network import CorrespondenceNetwork
from nnunet_sparse.interpolation.slice_stack import SliceStack
from nnunet_sparse.system import resumable

CPU = torch.device("cpu")
PRESET = InterpolatorPreset(3, 12, 8, 1e-3, 1.0, 2)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    def network(channels, radius, **settings):
        return CorrespondenceNetwork(channels, radius, (4, 4), 4, **settings)

    monkeypatch.setattr(training, "CorrespondenceNetwork", network)


@pytest.fixture
def volumes():
    rng = np.random.default_rng(0)
    return {name: SliceStack(rng.normal(size=(5, 1, 14, 10)).astype(np.float16)) for name in "ab"}


def run(volumes, checkpoint, seed=0):
    setup = set_up_interpolator(volumes, PRESET, seed, CPU)
    losses = resumable.train_resumably(setup, CPU, checkpoint, {"what": "x"}, "network")
    return torch.cat([p.detach().flatten() for p in setup.network.parameters()]), losses


def test_the_seed_decides_everything(volumes, tmp_path):
    first, losses = run(volumes, tmp_path / "a.pth")
    assert len(losses) == 8
    assert torch.equal(run(volumes, tmp_path / "b.pth")[0], first)
    assert not torch.equal(run(volumes, tmp_path / "c.pth", seed=1)[0], first)


def test_a_killed_training_ends_as_one_that_was_not(volumes, tmp_path, monkeypatch):
    expected, losses = run(volumes, tmp_path / "a.pth")
    monkeypatch.setattr(resumable, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    save = resumable._save

    def save_and_die(*args):
        save(*args)
        if len(args[1]) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(resumable, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        run(volumes, tmp_path / "b.pth")
    monkeypatch.setattr(resumable, "_save", save)
    found, all_losses = run(volumes, tmp_path / "b.pth")
    assert torch.equal(found, expected)
    assert all_losses == losses


class Copying(torch.nn.Module):
    """Hands values on as they are, plus one."""

    def encode(self, slices, scale):
        return slices * scale[:, None, None]

    def forward(self, target, reference, value, shift, outside):
        assert not outside
        assert shift[:, 0].tolist() == ((target - reference)[:, 0, 0, 0] / 10).tolist()
        assert target.shape == reference.shape == value.shape
        return value + 1


def test_references_hand_on_reconstructions_where_they_are_told_to():
    slices = torch.tensor([10.0, 20, 50, 60]).view(4, 1, 1, 1)
    shifts, scale = torch.tensor([[1, 1], [3, 3], [1, 1]]), torch.ones(1)
    for handed_on, expected in (
        ([False] * 4, [11, 21, 51]),
        ([True, False, False, True], [11, 21, 51]),  # the first and the last hand on nothing
        ([False, True, False, False], [11, 12, 51]),
        ([True] * 4, [11, 12, 13]),
    ):
        found = reconstruct(Copying(), slices, shifts, scale, handed_on)
        assert found.flatten().tolist() == expected


def test_shifts_out_of_the_slice_take_part_where_the_preset_says_so(volumes):
    losses = []
    for outside in (0, 1):
        preset = replace(PRESET, outside=outside, sharpness=0.0)
        losses.append(set_up_interpolator(volumes, preset, 0, CPU).step_loss(0).item())
    assert losses[0] != losses[1]


def test_grey_levels_of_a_volume():
    volume = np.zeros((3, 2, 5, 5), np.float16)
    volume[1, 0, 2, 2], volume[2, 0, 0, 0] = 4.0, -1.1
    assert volume_scale(volume, grey_levels=True).tolist() == pytest.approx([0.02, 1.0], rel=1e-3)


def test_drawn_slices_share_a_window():
    volume = np.arange(6 * 2 * 20 * 8, dtype=np.float32).reshape(6, 2, 20, 8)
    drawn, chosen = draw_slices(volume, 4, 10, np.random.default_rng(0))
    assert drawn.shape == (4, 2, 10, 8)
    assert ((drawn[:, 0, 0, 0] - drawn[0, 0, 0, 0]) == (chosen - chosen[0]) * 2 * 20 * 8).all()
    steps = drawn.diff(dim=0)
    assert (steps > 0).all()
    assert (steps == steps[:, :1, :1, :1]).all()  # whole slices apart
    assert draw_slices(volume, 9, 99, np.random.default_rng(0))[0].shape == (6, 2, 20, 8)


def test_slices_from_a_stretch():
    volume = np.broadcast_to(np.arange(40.0)[:, None, None, None], (40, 1, 4, 4))
    rng = np.random.default_rng(0)
    drawn = [draw_slices(volume, 3, 9, rng, 8)[0][:, 0, 0, 0] for _ in range(300)]
    assert all((slices.diff() > 0).all() and slices[-1] - slices[0] < 8 for slices in drawn)
    assert {int(value) for slices in drawn for value in slices} == set(range(40))
    # a stretch that is too short or too long
    assert len(draw_slices(volume, 9, 9, rng, 2)[1]) == 9
    assert draw_slices(volume, 40, 9, rng, 99)[1].tolist() == list(range(40))


def test_a_channel_that_is_empty_in_most_slices():
    noise = np.random.default_rng(0).normal(size=(20, 2, 12, 12))
    expected = volume_scale(noise)
    noise[:14, 1] = 3.0
    torch.testing.assert_close(volume_scale(noise), expected, rtol=0.1, atol=0)


def test_scale_of_empty_and_of_plain_volumes():
    assert volume_scale(np.zeros((3, 2, 5, 5))).tolist() == [1.0, 1.0]
    ramp = np.broadcast_to(np.arange(30.0), (4, 1, 30, 30))
    # columns up to three apart, at the edge fewer
    assert 1.6 < float(volume_scale(ramp)[0]) < 2.1
