import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import BaseMaker
from trained_models import REGIONS, dataset_json, plans, write_model

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


def test_what_a_folder_says(tmp_path: Path) -> None:
    folder = write_model(tmp_path, folds=(2, 0, "all"))
    network = TrainedNetwork.open(folder)
    assert network.folds == (0, 2)
    assert network.labels == {"background": 0, "organ": 1, "lesion": 2}
    assert network.label_values == (0, 1, 2)
    assert network.regions_class_order is None
    assert network.channels == ("MR",)
    assert network.provenance() == {
        "dataset": "Dataset004_Tiny",
        "model": "nnUNetTrainer__nnUNetPlans__3d",
        "folds": [0, 2],
        "checkpoint": "checkpoint_final.pth",
        "digest": network.digest,
    }
    assert TrainedNetwork.open(folder, ["all", 2]).folds == (2, "all")
    shutil.rmtree(folder / "fold_0")
    shutil.rmtree(folder / "fold_2")
    assert TrainedNetwork.open(folder).folds == ("all",)


def test_the_ignore_label_is_no_class(tmp_path: Path) -> None:
    labels = {"background": 0, "organ": 1, "ignore": 2}
    network = TrainedNetwork.open(write_model(tmp_path, plans(), dataset_json(labels)))
    assert network.label_values == (0, 1)
    assert network.labels == {"background": 0, "organ": 1}


def test_regions(tmp_path: Path) -> None:
    network = TrainedNetwork.open(write_model(tmp_path, plans(), dataset_json(REGIONS)))
    assert network.regions_class_order == (1, 2)
    assert network.label_values == (0, 1, 2)


def test_the_digest_is_that_of_weights_plans_and_folds(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "a", folds=(0, 1))
    digest = TrainedNetwork.open(folder).digest
    other = write_model(tmp_path / "b", folds=(0, 1))
    shutil.copytree(folder, other, dirs_exist_ok=True)
    assert TrainedNetwork.open(other).digest == digest
    found = {
        digest,
        TrainedNetwork.open(folder, [0]).digest,
        TrainedNetwork.open(folder, [1]).digest,
    }
    content = json.loads((other / "plans.json").read_text())
    content["configurations"]["3d"]["spacing"] = [2.0, 1.0, 1.0]
    (other / "plans.json").write_text(json.dumps(content))
    assert len({*found, TrainedNetwork.open(other).digest}) == 4


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "is no folder: give nnUNet_results/DATASET"),
        (lambda f: (f / "dataset.json").unlink(), "dataset.json does not exist"),
        (lambda f: (f / "plans.json").unlink(), "plans.json does not exist"),
        (lambda f: (f / "plans.json").write_text("{"), "plans.json"),
        (lambda f: (f / "plans.json").write_text("[]"), "plans.json: it must be an object"),
        (lambda f: (f / "plans.json").write_text("{}"), "plans.json: it lacks dataset_name"),
        (lambda f: shutil.rmtree(f / "fold_0"), "no fold in .* has checkpoint_final.pth"),
        (
            lambda f: (f / "dataset.json").write_text(json.dumps(dataset_json({"background": 1}))),
            "dataset.json: background must be 0",
        ),
    ],
)
def test_broken_folders_are_refused(spoil: Any, message: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    spoil(folder)
    with pytest.raises(SparseError, match=message):
        TrainedNetwork.open(folder)


def test_a_fold_without_a_checkpoint_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    folder = write_model(tmp_path, folds=(0, 3))
    with pytest.raises(SparseError, match=r"fold_1/checkpoint_final\.pth .* there are 0, 3"):
        TrainedNetwork.open(folder, [0, 1])
    with pytest.raises(SparseError, match=r"fold_0/checkpoint_best\.pth .* there are none"):
        TrainedNetwork.open(folder, [0], "checkpoint_best.pth")


@pytest.mark.parametrize("name", ["fold_00", "fold_\u0663", "fold_-1", "fold_1e1"])
def test_folders_that_are_called_like_no_fold(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path, folds=(3,))
    shutil.copytree(folder / "fold_3", folder / name)
    assert TrainedNetwork.open(folder).folds == (3,)
    shutil.rmtree(folder / "fold_3")
    with pytest.raises(SparseError, match="no fold in"):
        TrainedNetwork.open(folder)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"channels": 2}, "with the channels MR; Dataset004_Tiny has MR, MR"),
        ({"labels": {"background": 0, "organ": 1}}, "with the labels .* declares"),
        ({"labels": {"background": 0, "organ": 2, "lesion": 1}}, "with the labels .* declares"),
        ({"extra": {"channel_names": {"0": "CT"}}}, "channels MR; Dataset004_Tiny has CT"),
        ({"extra": {"overwrite_image_reader_writer": "NibabelIOWithReorient"}}, "orders voxels"),
        ({"extra": {"labels": REGIONS, "regions_class_order": [2, 1]}}, "with the labels"),
    ],
)
def test_other_channels_labels_and_readers_are_refused(
    other: dict[str, Any], message: str, make_base: BaseMaker, tmp_path: Path
) -> None:
    network = TrainedNetwork.open(write_model(tmp_path / "results"))
    with pytest.raises(SparseError, match=message):
        network.check_fits(RawDataset.open(make_base(num_train=2, **other)))


def test_a_data_set_with_an_ignore_label_fits(make_base: BaseMaker, tmp_path: Path) -> None:
    labels = {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}
    network = TrainedNetwork.open(write_model(tmp_path / "results"))
    network.check_fits(RawDataset.open(make_base(num_train=2, labels=labels)))


def test_cases_that_it_was_trained_on_are_told_by_their_files(
    make_base: BaseMaker, paths: NnUNetPaths
) -> None:
    """Of other data sets, too; IDs do not count."""
    raw = RawDataset.open(make_base(num_train=4, num_test=1))
    network = TrainedNetwork.open(write_model(paths.results))
    cases = [*raw.training.values(), *raw.test.values()]
    assert network.trained_on(paths, cases) == ("tr_00", "tr_01", "tr_02", "tr_03")
    folder = paths.preprocessed / raw.name
    folder.mkdir()
    folds = [{"train": ["tr_00", "tr_02"], "val": ["tr_01"]}]
    (folder / "splits_final.json").write_text(json.dumps(folds))
    assert network.trained_on(paths, cases) == ("tr_00", "tr_02")
    linked = make_base("Dataset005_Other", num_train=4)
    shutil.copytree(raw.folder / "imagesTr", linked / "imagesTr", dirs_exist_ok=True)
    other = RawDataset.open(linked)
    assert network.trained_on(paths, other.training.values()) == ()
    (linked / "imagesTr/tr_01_0000.nii.gz").unlink()
    (linked / "imagesTr/tr_01_0000.nii.gz").symlink_to(raw.folder / "imagesTr/tr_02_0000.nii.gz")
    assert network.trained_on(paths, other.training.values()) == ("tr_01",)
    shutil.rmtree(raw.folder)
    assert network.trained_on(paths, cases) == ()
