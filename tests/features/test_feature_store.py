import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from file_times import date_back, written_since
from tiny import write_volume
from waiting import at_once

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.feature_store import SliceFeatures, slice_features
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.system import resumable
from nnunet_sparse.system.errors import SparseError

CASES = ("tr_00", "tr_01", "tr_02")


pytestmark = pytest.mark.usefixtures("short")


@pytest.fixture
def raw(make_base):
    return RawDataset.open(make_base(channels=2))


def train(paths, raw, cases=CASES, overwrite=False):
    MaeRequest(device="cpu").train(TrainingImages(paths, raw, cases, 0), 1, overwrite)


def features(paths, raw, num_processes=1, **changes):
    images = TrainingImages(paths, raw, CASES, 0)
    request = MaeRequest(**{"device": "cpu"} | changes)
    request.train(images, num_processes)
    return slice_features(images, request, num_processes)


def folder_of(paths, raw, **changes):
    return MaeRequest(**changes).model(paths, raw.name, 0).path


def test_features_of_every_training_slice(paths, raw):
    found = features(paths, raw)
    assert {c: v.shape for c, v in found.values.items()} == {
        "tr_00": (10, 16),
        "tr_01": (7, 16),
        "tr_02": (10, 16),
    }
    folder = folder_of(paths, raw)
    assert {file.name for file in folder.iterdir()} == {
        "checkpoint.pth",
        "features",
        "loss.png",
        "reconstructions.png",
        "training.json",
    }
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("num_processes", [1, 4])
def test_what_is_there_is_used_and_processes_do_not_matter(paths, raw, num_processes):
    found = features(paths, raw)
    folder = folder_of(paths, raw)
    date_back(folder)
    features(paths, raw)
    assert written_since(folder) <= {folder}  # where a lock comes and goes
    shutil.rmtree(folder)
    again = features(paths, raw, num_processes=num_processes)
    assert again.checkpoint == found.checkpoint
    for case_id, values in found.values.items():
        np.testing.assert_array_equal(again.values[case_id], values)


def test_processes_at_once_share_the_work(paths, raw):
    def found():
        torch.set_num_threads(1)
        return features(paths, raw).checkpoint

    assert len(set(at_once(found, 3))) == 1


def test_a_network_of_other_images_is_not_used(paths, raw):
    features(paths, raw)
    other = replace(raw, dataset_json=raw.dataset_json | {"channel_names": {"0": "MR"}})
    for changed, cases, what in ((raw, CASES[:2], "cases, num_slices"), (other, CASES, "channels")):
        with pytest.raises(SparseError, match=rf"with other {what}: .*-d .* --overwrite trains"):
            train(paths, changed, cases)


def test_a_missing_channel_is_named(paths, raw):
    case = replace(raw.training["tr_01"], images=raw.training["tr_01"].images[:1])
    raw.training["tr_01"] = case
    with pytest.raises(SparseError, match=r"tr_01 has 1 image channels, dataset\.json declares 2"):
        features(paths, raw)
    assert not folder_of(paths, raw).exists()


def test_images_that_show_nothing(paths, raw):
    for case_id in CASES[:2]:
        for file in raw.training[case_id].images:
            write_volume(file, np.full((10, 6, 5), 7.0, np.float32))
    raw_features = features(paths, raw)
    assert all(np.isfinite(v).all() for v in raw_features.standardised().values())


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_killed_training_goes_on(paths, raw, monkeypatch, overwrite):
    expected = features(paths, raw)
    if not overwrite:
        shutil.rmtree(folder_of(paths, raw))
    monkeypatch.setattr(resumable, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    save, steps = resumable._save, []

    def save_and_die(parts, losses, *rest):
        save(parts, losses, *rest)
        steps.append(len(losses))
        if len(losses) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(resumable, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(paths, raw, overwrite=overwrite)
    train(paths, raw, overwrite=overwrite)
    assert steps == sorted(set(steps))  # nothing twice
    assert len(steps) > 2
    assert features(paths, raw).checkpoint == expected.checkpoint


def test_labels_and_other_cases_are_not_read(paths, raw):
    expected = features(paths, raw)
    shutil.rmtree(folder_of(paths, raw))
    for case_id, case in raw.training.items():
        case.label.write_bytes(b"unreadable")
        if case_id not in CASES:
            case.images[0].write_bytes(b"unreadable")
    found = features(paths, raw)
    for case_id in CASES:
        np.testing.assert_array_equal(found.values[case_id], expected.values[case_id])


def test_a_changed_image_is_read_again(paths, raw):
    before = features(paths, raw).values
    image = raw.training["tr_01"].images[1]
    shutil.copyfile(raw.training["tr_03"].images[1], image)
    os.utime(image, ns=(1, 1))
    after = features(paths, raw).values
    changed = [c for c in CASES if not np.array_equal(before[c], after[c])]
    assert changed == ["tr_01"]


def test_another_network_makes_other_features(paths, raw):
    folder = folder_of(paths, raw)
    first = features(paths, raw)
    other = features(paths, raw, seed=1)
    assert other.checkpoint != first.checkpoint
    shutil.copyfile(
        folder_of(paths, raw, seed=1) / "checkpoint.pth",
        folder / "checkpoint.pth",
    )
    found = features(paths, raw)
    np.testing.assert_array_equal(found.values["tr_00"], other.values["tr_00"])


def test_a_damaged_cache_is_replaced(paths, raw):
    expected = features(paths, raw).values["tr_00"]
    file = folder_of(paths, raw) / "features" / "tr_00.npz"
    file.write_bytes(file.read_bytes()[:50])
    np.testing.assert_array_equal(features(paths, raw).values["tr_00"], expected)
    assert np.load(file)["features"].shape == (10, 16)


@pytest.mark.parametrize("change", [{"pixel_mm": float("nan")}, {"height": 2**40}, {"patch": 0}])
def test_a_canvas_that_is_not_the_networks(paths, raw, change):
    train(paths, raw)
    file = folder_of(paths, raw) / "checkpoint.pth"
    content = torch.load(file, weights_only=True)
    torch.save(content | {"canvas": content["canvas"] | change}, file)
    with pytest.raises(SparseError, match="is damaged: nnsparse_train_mae"):
        features(paths, raw)


def test_without_a_network(paths, raw):
    with pytest.raises(SparseError, match="nnsparse_train_mae -d Dataset004_Tiny --axis 0"):
        slice_features(TrainingImages(paths, raw, CASES, 0), MaeRequest(), 1)


def test_an_unreadable_image_is_named(paths, raw):
    raw.training["tr_01"].images[0].write_bytes(b"damaged")
    with pytest.raises(SparseError, match=r"tr_01_0000\.nii\.gz"):
        features(paths, raw)
    assert not folder_of(paths, raw).exists()


def test_a_truncated_image_is_named(paths, raw):
    file = raw.training["tr_01"].images[1]
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(SparseError, match=r"tr_01_0001.nii.gz is damaged"):
        train(paths, raw)
    assert not list(paths.preprocessed.rglob("checkpoint*"))


def test_standardised_features():
    values = {"a": np.array([[1.0, 5, 2]]), "b": np.array([[3.0, 5, 2], [5, 5, 8]])}
    found = np.concatenate(list(SliceFeatures(values, "x").standardised().values()))
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(0), [1, 0, 1])
