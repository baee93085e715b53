"""What both kinds of networks that learn from images alone have in common."""

import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image
from tiny import read_json

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest
from nnunet_sparse.system import resumable
from nnunet_sparse.system.errors import SparseError

CASES = ("tr_00", "tr_01", "tr_02")
KINDS = [MaeRequest(device="cpu"), InterpolatorRequest(device="cpu")]
COMMON = {"version", "base", "axis", "seed", "channels", "cases", "num_steps"}


@pytest.fixture
def images(paths, make_base):
    return TrainingImages(paths, RawDataset.open(make_base()), CASES, 0)


@pytest.mark.parametrize(
    ("wanted", "name", "command"),
    [
        (MaeRequest(), "mae_tiny_axis1_seed0", "nnsparse_train_mae -d B --axis 1"),
        (
            MaeRequest("small", 3),
            "mae_small_axis1_seed3",
            "nnsparse_train_mae -d B --axis 1 --mae small --mae_seed 3",
        ),
        (
            InterpolatorRequest("full", 3, changes=(("radius", 4.0), ("span", 24))),
            "interpolator_full_axis1_seed3_radius4",
            "nnsparse_train_interpolator -d B --axis 1 --preset full --interpolator_seed 3 "
            "--change radius=4",
        ),
    ],
)
def test_folder_and_command(paths, wanted, name, command):
    model = wanted.model(paths, "B", 1)
    assert model.path == paths.preprocessed / "B" / "nnsparse" / name
    assert model.command == command


@pytest.mark.parametrize("kind", [MaeRequest, InterpolatorRequest])
def test_an_unknown_preset_is_refused(kind):
    with pytest.raises(SparseError, match="unknown preset 'huge', choose from tiny, "):
        kind("huge")


@pytest.mark.usefixtures("short_networks")
def test_what_a_folder_holds(images):
    own = {
        "mae": ({"preset", "canvas", "num_slices"}, {"canvas"}),
        # "outside" is recorded where it is not 0, as it was not by earlier versions
        "interpolator": (set(vars(InterpolatorRequest().settings)) - {"outside"}, set()),
    }
    for kind in KINDS:
        model = kind.train(images, 1)
        in_record, in_checkpoint = own[kind.kind]
        assert read_json(model.record_file).keys() == COMMON | in_record
        content = torch.load(model.checkpoint, weights_only=True)
        assert content.keys() == {"config", "network", "losses"} | in_checkpoint
        assert {f.name for f in model.path.iterdir()} - {".lock"} == {
            "checkpoint.pth",
            "training.json",
            "loss.png",
            "reconstructions.png",
        }
        for picture in model.path.glob("*.png"):
            assert min(Image.open(picture).size) > 100


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_damaged_network_is_named_and_never_replaced_by_chance(images, kind):
    model = kind.train(images, 1)
    assert not kind.restore(model).network.training
    other = KINDS[1 - KINDS.index(kind)].train(images, 1)
    for damage in (lambda: model.checkpoint.write_bytes(b"x"), lambda: _copy(other, model)):
        damage()
        assert kind.train(images, 1) == model  # is there, and stays
        with pytest.raises(SparseError, match=f"is damaged: {kind.command} .* --overwrite"):
            kind.restore(model)
    kind.train(images, 1, overwrite=True)
    kind.restore(model)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_what_was_begun_with_other_values_of_the_preset_is_not_continued(images, kind, monkeypatch):
    monkeypatch.setattr(resumable, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    save = resumable._save

    def save_and_die(*given):
        save(*given)
        raise KeyboardInterrupt

    before = kind.presets[kind.preset]
    monkeypatch.setitem(kind.presets, kind.preset, replace(before, learning_rate=2e-3))
    monkeypatch.setattr(resumable, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        kind.train(images, 1)
    monkeypatch.setattr(resumable, "_save", save)
    monkeypatch.setitem(kind.presets, kind.preset, before)
    found = kind.restore(kind.train(images, 1)).network.state_dict()
    expected = kind.restore(kind.train(images, 1, overwrite=True)).network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


HUGE = {
    "mae": [
        {"size": {"dim": 2**40}},
        {"size": {"depth": 10**9}},
        {"size": {"dim": 2048, "depth": 64}},
        {"grid": [10**5, 10**5]},
        {"patch": True},
    ],
    "interpolator": [
        {"widths": [2**30]},
        {"widths": [2048] * 40},
        {"radius": 10**6},
        {"channels": -1},
        {"temperature": float("nan")},
    ],
}


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_no_memory_is_set_aside_for_networks_that_nobody_trains(images, kind):
    model = kind.train(images, 1)
    content = torch.load(model.checkpoint, weights_only=True)
    for change in HUGE[kind.kind]:
        before = content["config"]
        config = before | change
        if "size" in change:
            config["size"] = before["size"] | change["size"]
        torch.save({**content, "config": config}, model.checkpoint)
        with pytest.raises(SparseError, match="is damaged") as refused:
            kind.restore(model)
        assert "weights" not in str(refused.value.__cause__)  # which are looked at afterwards


def _copy(source, target):
    shutil.copyfile(source.checkpoint, target.checkpoint)
