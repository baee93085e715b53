import json
import shutil

import pytest
from conftest import BaseMaker

from nnunet_sparse.data.raw_dataset import RawDataset, dense_datasets
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


def test_open(make_base: BaseMaker) -> None:
    folder = make_base(num_train=3, num_test=2, channels=2)
    (folder / "imagesTr" / "other.txt").touch()
    dataset = RawDataset.open(folder)
    assert (dataset.name, dataset.suffix) == ("Dataset004_Tiny", "Tiny")
    assert list(dataset.training) == ["tr_00", "tr_01", "tr_02"]
    assert list(dataset.test) == ["ts_00", "ts_01"]
    assert [p.name for p in dataset.case("ts_01").images] == [
        "ts_01_0000.nii.gz",
        "ts_01_0001.nii.gz",
    ]
    assert (dataset.num_channels, dataset.label_values) == (2, [0, 1, 2])
    assert dataset.reader() == "SimpleITKIO"


def test_labels_of_regions(make_base: BaseMaker) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "rim": 3, "ignore": 4}
    dataset = RawDataset.open(make_base(labels=labels))
    assert dataset.label_values == [0, 1, 2, 3]
    assert dataset.has_ignore_label


def test_missing_labels_are_none(make_base: BaseMaker) -> None:
    folder = make_base(num_test=2)
    (folder / "labelsTr" / "tr_03.nii.gz").unlink()
    shutil.rmtree(folder / "labelsTs")
    dataset = RawDataset.open(folder)
    assert dataset.training["tr_03"].label is None
    assert dataset.test["ts_00"].label is None


@pytest.mark.parametrize(
    ("ending", "extra", "reader"),
    [
        (".nii", {}, "NibabelIO"),
        (".nrrd", {}, "SimpleITKIO"),
        (".tif", {}, "Tiff3DIO"),
        (".nii.gz", {"overwrite_image_reader_writer": "NibabelIOWithReorient"}, None),
    ],
)
def test_readers(
    make_base: BaseMaker, ending: str, extra: dict[str, str], reader: str | None
) -> None:
    dataset = RawDataset.open(make_base(ending=ending, extra=extra))
    assert dataset.reader() == (reader or "NibabelIOWithReorient")


def test_dense_datasets(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base("Dataset001_Dense")
    make_base("Dataset002_Ignoring", labels={"background": 0, "a": 1, "ignore": 2})
    (make_base("Dataset003_Ours") / "selection.json").touch()
    (make_base("Dataset004_Broken") / "dataset.json").write_text("{")
    assert dense_datasets(paths.raw) == ["Dataset001_Dense"]


def test_mapping_without_images(make_base: BaseMaker) -> None:
    folder = make_base()
    content = json.loads((folder / "dataset.json").read_text("utf-8"))
    content["dataset"] = {"a": {"label": "x"}}
    (folder / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(SparseError, match="case 'a' needs images and label"):
        RawDataset.open(folder)
