import json
import os
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import (
    DatasetFingerprintExtractor,
)
from sparse_datasets import make_dataset
from tiny import made, write_volume
from training_fixtures import use_threads

from nnunet_sparse.planners.sparse_fingerprint import (
    SparseFingerprintExtractor,
    intensity_properties,
)
from nnunet_sparse.system.errors import SparseError

DENSE, SPARSE = "Dataset001_Dense", "Dataset002_Sparse"
CASES = ("a", "b", "c")
IGNORE = 2
SHAPE = (40, 36, 24)


def write(paths, name, label_of, channels=("CT",), ignore=True, reader="SimpleITKIO"):
    """Three cases: an organ of about 100 HU in a body of -50 HU, air with value 0 around it."""
    rng = np.random.default_rng(3)
    folder = paths.raw / name
    for number, case in enumerate(CASES):
        organ = np.zeros(SHAPE, np.uint8)
        organ[3:37, 6:28, 5:18] = 1
        body = (slice(None), slice(2, 34), slice(2, 22))
        image = np.zeros(SHAPE, np.float32)
        image[body] = -50 + 150.0 * organ[body] + 5 * number
        image[body] += rng.normal(0, 10, image[body].shape)
        for channel in range(len(channels)):
            file = folder / "imagesTr" / f"{case}_{channel:04d}.nii.gz"
            write_volume(file, image + 7 * channel * (image != 0))
        write_volume(folder / "labelsTr" / f"{case}.nii.gz", label_of(organ))
    labels = {"background": 0, "organ": 1} | ({"ignore": IGNORE} if ignore else {})
    content = {
        "channel_names": {str(i): name for i, name in enumerate(channels)},
        "labels": labels,
        "numTraining": len(CASES),
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": reader,
    }
    (folder / "dataset.json").write_text(json.dumps(content))


def sparse(organ):
    label = np.full_like(organ, IGNORE)
    label[::5] = organ[::5]
    return label


def measure(name, extractor=SparseFingerprintExtractor, **options):
    instance = extractor(name, 1, **options)
    instance.num_foreground_voxels_for_intensitystats = 3e5  # 1e8 of so few voxels say no more
    if extractor is SparseFingerprintExtractor:
        return instance.measure()
    instance.show_progress_bar = False
    return json.loads(json.dumps(instance.run(overwrite_existing=True)))


def close_to(found, dense):
    """Mean and percentiles within 5 % of the dense ones, all of which are about 100 HU."""
    keys = ("mean", "median", "percentile_00_5", "percentile_99_5")
    return all(found[key] == pytest.approx(dense[key], rel=0.05) for key in keys)


@pytest.mark.slow
def test_ignored_voxels_are_no_foreground(paths, monkeypatch):
    use_threads(monkeypatch)
    write(paths, DENSE, lambda organ: organ)
    write(paths, SPARSE, sparse)
    key = "foreground_intensity_properties_per_channel"
    dense, ours = (measure(name)[key]["0"] for name in (DENSE, SPARSE))
    stock = measure(SPARSE, DatasetFingerprintExtractor)[key]["0"]
    assert dense["mean"] == pytest.approx(105, abs=1)
    assert close_to(ours, dense)
    assert not close_to(stock, dense)
    assert stock["mean"] < 50


@pytest.mark.slow
def test_dense_labels_give_what_nnunet_measures(paths, monkeypatch):
    use_threads(monkeypatch)
    write(paths, DENSE, lambda organ: organ, channels=("CT", "MR"), ignore=False)
    ours = measure(DENSE)
    assert json.loads(json.dumps(ours)) == measure(DENSE, DatasetFingerprintExtractor)
    # cropped to the image's non-zero box
    assert ours["shapes_after_crop"] == [[40, 32, 20]] * 3
    assert ours["median_relative_size_after_cropping"] == pytest.approx(32 * 20 / (36 * 24))
    assert ours["spacings"] == [[2.0, 1.5, 1.0]] * 3


@pytest.mark.slow
@pytest.mark.real_data
def test_sparse_labels_of_real_data(paths):
    name = "Dataset004_Hippocampus"
    source = Path(os.environ.get("NNSPARSE_REAL_DATA", "")) / name
    if not os.environ.get("NNSPARSE_REAL_DATA") or not source.is_dir():
        pytest.skip(f"NNSPARSE_REAL_DATA names no folder with {name}")
    (paths.raw / name).symlink_to(source)
    result = make_dataset(paths, name, rho=0.1)
    cases = sorted(result.selection.cases)[:40]
    dense, sparse = (
        measure(folder, cases=cases)["foreground_intensity_properties_per_channel"]["0"]
        for folder in (name, made(result).name)
    )
    for key in ("mean", "median", "std"):
        assert sparse[key] == pytest.approx(dense[key], rel=0.05)


def test_chosen_cases(paths):
    write(paths, DENSE, lambda organ: organ)
    chosen = measure(DENSE, cases=["c"])
    assert len(chosen["spacings"]) == 1
    properties = chosen["foreground_intensity_properties_per_channel"]["0"]
    assert properties["mean"] == pytest.approx(110, abs=2)
    with pytest.raises(SparseError, match="Dataset001_Dense has no training case x"):
        measure(DENSE, cases=["x"])
    with pytest.raises(SparseError, match="no case"):
        measure(DENSE, cases=[])


def test_no_annotated_foreground(paths):
    write(paths, SPARSE, lambda organ: np.full_like(organ, IGNORE))
    with pytest.raises(SparseError, match=r"no annotated foreground voxel.*channel CT.*plans_from"):
        measure(SPARSE)
    write(paths, SPARSE, lambda organ: np.full_like(organ, IGNORE), channels=("MR",))
    properties = measure(SPARSE)["foreground_intensity_properties_per_channel"]["0"]
    assert set(properties.values()) == {None}


def test_a_case_without_annotation_does_no_harm(paths):
    write(paths, SPARSE, sparse)
    before = measure(SPARSE, cases=["a", "b"])
    write_volume(paths.raw / SPARSE / "labelsTr" / "c.nii.gz", np.full(SHAPE, IGNORE, np.uint8))
    after = measure(SPARSE)
    assert len(after["spacings"]) == 3
    one, other = (
        f["foreground_intensity_properties_per_channel"]["0"]["mean"] for f in (before, after)
    )
    assert one == pytest.approx(other, rel=0.02)


def test_run_writes_where_nnunet_reads(paths):
    write(paths, SPARSE, sparse)
    extractor = SparseFingerprintExtractor(SPARSE, 1)
    result = extractor.run()
    file = paths.preprocessed / SPARSE / "dataset_fingerprint.json"
    assert json.loads(file.read_text("utf-8")) == result
    file.write_text("{}")
    assert extractor.run() == {}
    assert extractor.run(overwrite_existing=True) == result


def test_nan_is_refused_with_the_file(paths):
    write(paths, SPARSE, sparse, reader="NibabelIO")  # SimpleITK reads NaN as 0
    image = np.full(SHAPE, np.nan, np.float32)
    write_volume(paths.raw / SPARSE / "imagesTr" / "b_0000.nii.gz", image)
    with pytest.raises(SparseError, match=r"labelsTr/b\.nii\.gz or its image is unusable.*NaN"):
        measure(SPARSE)


def test_intensity_properties():
    properties = intensity_properties(np.arange(201.0))
    assert properties == {
        "mean": 100.0,
        "std": pytest.approx(np.sqrt((201**2 - 1) / 12)),
        "min": 0.0,
        "max": 200.0,
        "percentile_00_5": 1.0,
        "median": 100.0,
        "percentile_99_5": 199.0,
    }
