import os
import shutil

import numpy as np
import pytest

from nnunet_sparse.errors import SparseError
from nnunet_sparse.features.store import (
    MaeRequest,
    SliceFeatures,
    mae_folder,
    slice_features,
    train_mae,
)
from nnunet_sparse.raw_dataset import RawDataset

CASES = ("tr_00", "tr_01", "tr_02")


pytestmark = pytest.mark.usefixtures("short")


@pytest.fixture
def raw(make_base):
    return RawDataset.open(make_base(channels=2))


def features(paths, raw, num_processes=1, **changes):
    request = MaeRequest(**{"device": "cpu"} | changes)
    train_mae(paths, raw, CASES, 0, request, num_processes)
    return slice_features(paths, raw, CASES, 0, request, num_processes)


def test_features_of_every_training_slice(paths, raw):
    found = features(paths, raw)
    assert {c: v.shape for c, v in found.values.items()} == {
        "tr_00": (10, 16),
        "tr_01": (7, 16),
        "tr_02": (10, 16),
    }
    folder = mae_folder(paths, raw.name, MaeRequest(), 0)
    assert {file.name for file in folder.iterdir()} == {
        "checkpoint.pth",
        "features",
        "loss.png",
        "reconstructions.png",
        "training.json",
    }
    again = features(paths, raw, num_processes=2)
    assert again.checkpoint == found.checkpoint
    for case_id, values in found.values.items():
        np.testing.assert_array_equal(again.values[case_id], values)


def test_labels_and_other_cases_are_not_read(paths, raw):
    expected = features(paths, raw)
    shutil.rmtree(mae_folder(paths, raw.name, MaeRequest(), 0))
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
    folder = mae_folder(paths, raw.name, MaeRequest(), 0)
    first = features(paths, raw)
    other = features(paths, raw, seed=1)
    assert other.checkpoint != first.checkpoint
    shutil.copyfile(
        mae_folder(paths, raw.name, MaeRequest(seed=1), 0) / "checkpoint.pth",
        folder / "checkpoint.pth",
    )
    found = features(paths, raw)
    np.testing.assert_array_equal(found.values["tr_00"], other.values["tr_00"])


def test_a_damaged_cache_is_replaced(paths, raw):
    expected = features(paths, raw).values["tr_00"]
    file = mae_folder(paths, raw.name, MaeRequest(), 0) / "features" / "tr_00.npz"
    file.write_bytes(file.read_bytes()[:50])
    np.testing.assert_array_equal(features(paths, raw).values["tr_00"], expected)
    assert np.load(file)["features"].shape == (10, 16)


def test_without_a_network(paths, raw):
    with pytest.raises(SparseError, match="nnsparse_train_mae -d Dataset004_Tiny"):
        slice_features(paths, raw, CASES, 0, MaeRequest(), 1)


def test_an_unreadable_image_is_named(paths, raw):
    raw.training["tr_01"].images[0].write_bytes(b"damaged")
    with pytest.raises(SparseError, match=r"tr_01_0000\.nii\.gz"):
        features(paths, raw)
    assert not (mae_folder(paths, raw.name, MaeRequest(), 0) / "checkpoint.pth").exists()


def test_standardised_features():
    values = {"a": np.array([[1.0, 5, 2]]), "b": np.array([[3.0, 5, 2], [5, 5, 8]])}
    found = np.concatenate(list(SliceFeatures(values, "x").standardised().values()))
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(0), [1, 0, 1])
