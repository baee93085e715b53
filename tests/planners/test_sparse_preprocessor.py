import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BaseMaker
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from preprocessing_fixtures import CONFIGURATION, framed_image, make_plans, nnunet_case
from sparse_datasets import make_dataset
from tiny import random_label, tree, write_volume
from waiting import GUARD_S

from nnunet_sparse.data.annotation import annotated_planes
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.planners import sparse_preprocessor
from nnunet_sparse.planners.sparse_preprocessor import SparsePreprocessor
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

IGNORE = 3
SHAPE = (10, 12, 9)
RESAMPLED = {"spacing": (3.0, 2.5, 1.7), "transpose": (1, 2, 0)}


@pytest.fixture
def base(make_base: BaseMaker) -> Path:
    """Dense cases with a frame of zeros around and a corner of zeros inside the image."""
    folder = make_base(num_train=6, shapes=[SHAPE])
    rng = np.random.default_rng(0)
    for file in sorted((folder / "imagesTr").iterdir()):
        write_volume(file, framed_image(rng, SHAPE))
    return folder


def variant(paths: NnUNetPaths, base: Path, **factors: Any) -> RawDataset:
    made = make_dataset(paths, base.name, **({"rho": 0.3, "axis": "1"} | factors))
    assert made.folder is not None
    return RawDataset.open(made.folder)


def preprocess(
    paths: NnUNetPaths, raw: RawDataset, plans: dict[str, Any], num_processes: int = 1
) -> Path:
    output = paths.preprocessed / raw.name / "data"
    SparsePreprocessor().run(raw, plans, CONFIGURATION, output, num_processes)
    return output


def load(folder: Path, case_id: str) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    image, seg, _, properties = nnUNetDatasetBlosc2(str(folder)).load_case(case_id)
    return image[:], seg[:], properties


@pytest.mark.parametrize("choice", [{}, {"mask": True}, RESAMPLED])
def test_dense_data_equal_nnunets(paths: NnUNetPaths, base: Path, choice: dict[str, Any]) -> None:
    raw, plans = RawDataset.open(base), make_plans(**choice)
    folder = preprocess(paths, raw, plans)
    for case_id in raw.training:
        image, seg, properties = load(folder, case_id)
        # nnU-Net's training images differ where foreground lies outside the mask
        expected_image = nnunet_case(raw, case_id, plans, labelled=False)[0]
        _, expected_seg, expected = nnunet_case(raw, case_id, plans, labelled=True)
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(seg, expected_seg)
        assert (seg.dtype, seg.shape) == (np.int8, (1, *image.shape[1:]))
        assert choice == RESAMPLED or -1 in seg
        assert properties.pop("nnsparse")["annotated_planes"].tolist() == list(range(seg.shape[1]))
        assert list(properties.pop("class_locations")) == list(expected.pop("class_locations"))
        assert properties == expected


def test_masked_normalisation_is_that_of_inference_and_stocks_is_not(
    paths: NnUNetPaths, base: Path
) -> None:
    raw, plans = variant(paths, base), make_plans(mask=True)
    folder = preprocess(paths, raw, plans)
    case_id = next(iter(raw.training))
    inference, mask, _ = nnunet_case(raw, case_id, plans, labelled=False)
    assert (nnunet_case(raw, case_id, plans, labelled=True)[0] != inference).any()
    np.testing.assert_array_equal(load(folder, case_id)[0], inference)
    masks = folder.with_name("data_nonzero")
    kept = nnUNetDatasetBlosc2.get_identifiers(str(masks))
    assert sorted(kept) == sorted(raw.training)
    import blosc2

    np.testing.assert_array_equal(blosc2.open(str(masks / f"{case_id}.b2nd"))[:], mask >= 0)


def test_sparse_labels_without_resampling(paths: NnUNetPaths, base: Path) -> None:
    raw, plans = variant(paths, base, split=None), make_plans(transpose=(1, 0, 2))
    plans["configurations"][CONFIGURATION]["spacing"] = [1.5, 2.0, 1.0]
    folder = preprocess(paths, raw, plans)
    assert not folder.with_name("data_nonzero").exists()
    dense = RawDataset.open(base)
    sparse_cases = 0
    for case_id in raw.training:
        seg, properties = load(folder, case_id)[1:]
        planes = properties["nnsparse"]["annotated_planes"]
        expected = nnunet_case(dense, case_id, plans, labelled=True)[1].astype(np.int16)
        ignored = np.setdiff1d(np.arange(seg.shape[1]), planes)
        sparse_cases += len(ignored) > 0
        expected[:, ignored] = IGNORE
        np.testing.assert_array_equal(seg, expected)
        assert list(properties["class_locations"]) == [1, 2, (-1, 0, 1, 2)]
    assert sparse_cases


def test_every_slice_survives_resampling_in_every_axis_order(
    paths: NnUNetPaths, base: Path
) -> None:
    raw = variant(paths, base, selector="random")
    for transpose in ((1, 2, 0), (0, 1, 2), (2, 0, 1)):
        plans = make_plans(spacing=(2.2, 2.0, 1.8), transpose=transpose)
        folder = preprocess(paths, raw, plans)
        for case_id, case in raw.training.items():
            seg = load(folder, case_id)[1][0]
            label = np.full(SHAPE, IGNORE) if case.label is None else _array(case.label)
            inner = label[1:-1, 1:-1, 1:-1]  # the frame of zeros is cropped
            before = annotated_planes(inner, 1, IGNORE)
            if len(before) == inner.shape[1]:
                continue
            axis = transpose.index(1)
            after = annotated_planes(seg, axis, IGNORE)
            nearest = {int((p + 0.5) * seg.shape[axis] / inner.shape[1]) for p in before}
            assert len(after) >= len(nearest) > 0
            complete = (seg != IGNORE).all(axis=tuple({0, 1, 2} - {axis}))
            assert complete[after].all()


def _array(file: Path) -> np.ndarray:
    import SimpleITK as sitk

    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(file))))


def test_variants_link_to_one_image(paths: NnUNetPaths, base: Path) -> None:
    one, two = variant(paths, base), variant(paths, base, selector="random")
    first = preprocess(paths, one, make_plans())
    before = tree(paths.preprocessed / base.name)
    second = preprocess(paths, two, make_plans())
    assert tree(paths.preprocessed / base.name) == before
    for case_id in two.training:
        assert (first / f"{case_id}.b2nd").samefile(second / f"{case_id}.b2nd")


def test_a_further_variant_imports_no_torch(paths: NnUNetPaths, base: Path) -> None:
    plans = make_plans(**RESAMPLED)
    first = preprocess(paths, variant(paths, base), plans)
    raw = variant(paths, base, selector="random")
    output = paths.preprocessed / raw.name / "data"
    code = (
        "import json, sys; from pathlib import Path\n"
        "from nnunet_sparse.planners.sparse_preprocessor import SparsePreprocessor\n"
        "from nnunet_sparse.data.raw_dataset import RawDataset\n"
        "raw, plans = RawDataset.open(Path(sys.argv[1])), json.loads(sys.argv[3])\n"
        f"SparsePreprocessor().run(raw, plans, {CONFIGURATION!r}, Path(sys.argv[2]), 1)\n"
        "assert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code, raw.folder, output, json.dumps(plans)]
    subprocess.run(command, check=True, timeout=GUARD_S)
    assert len(list(output.glob("*.pkl"))) == len(raw.training)
    (split, *_) = json.loads((raw.folder / "splits_final.json").read_text("utf-8"))
    for case_id in split["val"]:
        np.testing.assert_array_equal(load(output, case_id)[1], load(first, case_id)[1])


def test_a_changed_dense_label_is_resampled_anew(paths: NnUNetPaths, base: Path) -> None:
    raw, plans = RawDataset.open(base), make_plans(**RESAMPLED)
    before = load(preprocess(paths, raw, plans), "tr_02")[1]
    label = raw.training["tr_02"].label
    assert label is not None
    write_volume(label, random_label(np.random.default_rng(9), SHAPE))
    after = load(preprocess(paths, raw, plans), "tr_02")[1]
    assert (after != before).any()
    np.testing.assert_array_equal(after, nnunet_case(raw, "tr_02", plans, labelled=True)[1])


def test_stock_loader_reads_it(paths: NnUNetPaths, base: Path) -> None:
    raw = variant(paths, base)
    folder = preprocess(paths, raw, make_plans(spacing=(4.0, 1.5, 1.0)))
    manager = LabelManager(raw.dataset_json["labels"], None)
    data, patch = nnUNetDatasetBlosc2(str(folder)), (8, 6, 6)
    assert sorted(data.identifiers) == sorted(raw.training)
    loader = nnUNetDataLoader(data, 4, patch, patch, manager, oversample_foreground_percent=0.5)
    batch = next(loader)
    assert np.asarray(batch["data"]).shape == (4, 1, *patch)
    assert (np.asarray(batch["target"]) < IGNORE).any(axis=(1, 2, 3, 4)).all()


def test_calling_again_repairs_and_keeps_what_is_right(paths: NnUNetPaths, base: Path) -> None:
    raw, plans = variant(paths, base), make_plans(mask=True)
    folder = preprocess(paths, raw, plans)
    complete = tree(folder.parent)
    case_id = next(iter(raw.training))
    image = folder / f"{case_id}.b2nd"
    image.unlink()
    image.write_bytes(b"half")
    (folder / f"{case_id}_seg.b2nd").write_bytes(b"half")
    (folder / f"{case_id}.pkl").unlink()
    (folder / "of_another_split.b2nd").write_bytes(b"")
    (folder.parent / ".nnsparse_data").mkdir()
    preprocess(paths, raw, plans)
    assert tree(folder.parent) == complete


def test_processes_do_not_change_the_result(
    paths: NnUNetPaths, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, plans = variant(paths, base), make_plans()

    def contents(folder: Path) -> dict[str, Any]:
        segs = {case_id: load(folder, case_id)[1].tolist() for case_id in raw.training}
        return segs | {file.name: file.read_bytes() for file in folder.glob("*.pkl")}

    alone = contents(preprocess(paths, raw, plans))
    assert contents(preprocess(paths, raw, plans, num_processes=3)) == alone  # in threads
    monkeypatch.setattr(sparse_preprocessor, "_VOXELS_WORTH_PROCESSES", 0)
    assert contents(preprocess(paths, raw, plans, num_processes=2)) == alone


def test_a_label_must_fit_its_image(paths: NnUNetPaths, base: Path) -> None:
    raw = RawDataset.open(base)
    label = raw.training["tr_03"].label
    assert label is not None
    write_volume(label, random_label(np.random.default_rng(0), (10, 12, 8)))
    with pytest.raises(
        SparseError, match=r"tr_03.nii.gz has shape \(10, 12, 8\) .* image \(10, 12, 9\)"
    ):
        preprocess(paths, raw, make_plans(transpose=(2, 0, 1)))
    assert not (paths.preprocessed / raw.name / ".nnsparse_data").exists()


@pytest.mark.parametrize(("ignore_label", "dtype"), [(127, np.int8), (128, np.int16)])
@pytest.mark.parametrize("choice", [{}, RESAMPLED])
def test_as_many_labels_as_a_type_holds(
    paths: NnUNetPaths,
    make_base: BaseMaker,
    ignore_label: int,
    dtype: Any,
    choice: dict[str, Any],
) -> None:
    labels = {"background": 0} | {f"label {v}": v for v in range(1, ignore_label)}
    base = make_base(num_train=6, shapes=[SHAPE], labels=labels)
    top = ignore_label - 1
    for file in (base / "labelsTr").iterdir():
        write_volume(file, np.where(random_label(np.random.default_rng(0), SHAPE) > 1, top, 0))
    raw = variant(paths, base, split=None)
    folder = preprocess(paths, raw, make_plans(**choice))
    found = set()
    for case_id in raw.training:
        seg = load(folder, case_id)[1]
        assert seg.dtype == dtype
        found |= set(np.unique(seg).tolist())
    # the validation label is dense
    assert found == {0, top, ignore_label}


@pytest.mark.parametrize("value", [-1, 4, 200, 30_000])
def test_labels_must_be_declared(paths: NnUNetPaths, base: Path, value: int) -> None:
    raw = RawDataset.open(base)
    label = raw.training["tr_03"].label
    assert label is not None
    voxels = random_label(np.random.default_rng(0), SHAPE).astype(np.int16)
    voxels[5, 5, 5] = value
    write_volume(label, voxels)
    with pytest.raises(
        SparseError, match=rf"tr_03.nii.gz holds the label {value}, .* \(it declares 0, 1, 2\)"
    ):
        preprocess(paths, raw, make_plans())


def test_the_slice_axis_of_a_foreign_data_set_is_inferred(paths: NnUNetPaths, base: Path) -> None:
    raw, plans = variant(paths, base), make_plans(spacing=(2.2, 2.0, 1.8))
    folder = preprocess(paths, raw, plans)
    expected = tree(folder)
    (raw.folder / "selection.json").unlink()
    assert {k: v for k, v in tree(preprocess(paths, raw, plans)).items() if "seg" in k} == {
        k: v for k, v in expected.items() if "seg" in k
    }


def test_other_preprocessors_are_refused(paths: NnUNetPaths, base: Path) -> None:
    plans = make_plans()
    plans["configurations"][CONFIGURATION]["preprocessor_name"] = "Other"
    with pytest.raises(SparseError, match="'Other', images can be shared with DefaultPreprocessor"):
        preprocess(paths, RawDataset.open(base), plans)


def test_properties_are_small(paths: NnUNetPaths, base: Path) -> None:
    raw = variant(paths, base)
    file = preprocess(paths, raw, make_plans()) / f"{next(iter(raw.training))}.pkl"
    assert pickle.loads(file.read_bytes())["nnsparse"]["version"] == 1
    assert file.stat().st_size < 16_000
