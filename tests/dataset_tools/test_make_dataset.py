"""The invariants of a sparse data set, on data sets of many kinds."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import BaseMaker
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_file_systems import LACKING, without
from sparse_datasets import make_dataset
from tiny import array, check_sparse_labels, made, random_label, read_json, tree, write_volume

from nnunet_sparse.data.label_files import find_reader
from nnunet_sparse.data.split import SplitRequest
from nnunet_sparse.selection.budget import num_annotated_slices, num_annotated_volumes
from nnunet_sparse.selection.choose_slices import choose_volumes
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

DIRECTIONS = [
    (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0),
    (0, 0, 1.0, 1.0, 0, 0, 0, -1.0, 0),
    (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, -1.0),
]


@settings(max_examples=25)
@given(
    rho=st.floats(0.01, 1),
    s=st.floats(0.01, 1),
    selector=st.sampled_from(["fixed", "random"]),
    axis=st.sampled_from(["auto", "0", "1", "2", "coronal"]),
    direction=st.sampled_from(DIRECTIONS),
    dtype=st.sampled_from([np.uint8, np.int16, np.int32, np.float32]),
    seed=st.integers(0, 100),
)
def test_invariants(
    rho: float, s: float, selector: str, axis: str, direction: Any, dtype: Any, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as root:
        paths = NnUNetPaths.below(Path(root))
        paths.make_folders()
        base = paths.raw / "Dataset004_Tiny"
        rng = np.random.default_rng(seed)
        for i in range(7):
            shape = tuple(int(n) for n in rng.integers(1, 9, 3))
            shape = (shape[0] + 1, shape[1] + 1, shape[2] + 1)
            label = random_label(rng, shape).astype(dtype)
            write_volume(base / f"labelsTr/c{i}.nii.gz", label, direction=direction)
            write_volume(base / f"imagesTr/c{i}_0000.nii.gz", label * 1.0, direction=direction)
        (base / "dataset.json").write_text(
            json.dumps(
                {
                    "channel_names": {"0": "CT"},
                    "labels": {"background": 0, "organ": 1, "lesion": 2},
                    "numTraining": 7,
                    "file_ending": ".nii.gz",
                }
            )
        )
        before = tree(base)
        result = make_dataset(paths, "4", rho=rho, s=s, selector=selector, axis=axis, seed=seed)
        check_sparse_labels(result, base)
        split, cases = result.split, result.selection.cases
        # invariant 4: number of volumes and slices
        assert len(cases) == num_annotated_volumes(s, len(split.train))
        for case in cases.values():
            assert len(case.slices) == num_annotated_slices(rho, case.num_slices)
            assert sorted(set(case.slices)) == list(case.slices)
        # invariant 7: only training cases are annotated, and only they are sparse
        folds = read_json(made(result) / "splits_final.json")
        assert folds == [{"train": sorted(cases), "val": list(split.val)}] * 3
        assert set(cases) <= set(split.train)
        mapping = read_json(made(result) / "dataset.json")["dataset"]
        assert set(mapping) == {*cases, *split.val}
        # invariant 3: the same call, in any number of processes, is the same selection
        again = make_dataset(
            paths, "4", rho=rho, s=s, selector=selector, axis=axis, seed=seed, dry_run=True
        )
        assert again.selection == result.selection
        assert again.folder == result.folder
        # invariant 8: the base is as it was
        assert tree(base) == before


def test_contents(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base(num_test=2, extra={"licence": "CC0"})
    result = make_dataset(paths, "4", rho=0.2, s=0.5, selector="random", seed=3)
    folder = made(result)
    assert folder.name == "Dataset500_Tiny_rho0.200_s0.500_random_seed3"
    content = read_json(folder / "dataset.json")
    assert content["labels"] == {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}
    assert content["licence"] == "CC0"
    assert content["numTraining"] == len(content["dataset"]) == 9 // 2 + 1 + 1  # 5 of 9, 1 val
    for case_id, files in content["dataset"].items():
        assert files["images"] == [f"../Dataset004_Tiny/imagesTr/{case_id}_0000.nii.gz"]
        assert (folder / files["images"][0]).exists()
        assert files["label"] == f"labelsTr/{case_id}.nii.gz"
    for case_id in result.split.val:
        dense = base / "labelsTr" / f"{case_id}.nii.gz"
        assert (folder / "labelsTr" / f"{case_id}.nii.gz").resolve() == dense.resolve()
    for link in [*(folder / "imagesTs").iterdir(), *(folder / "labelsTs").iterdir()]:
        assert link.is_symlink()
        assert not link.readlink().is_absolute()
        assert link.resolve() == (base / link.parent.name / link.name).resolve()
    assert result.split.test == ("ts_00", "ts_01")
    assert {p.name for p in folder.iterdir()} == {
        "dataset.json",
        "sources.json",
        "imagesTs",
        "labelsTr",
        "labelsTs",
        "selection.json",
        "splits_final.json",
    }
    selection = read_json(folder / "selection.json")
    assert (selection["version"], selection["base"]) == (1, "Dataset004_Tiny")
    assert (selection["axis"], selection["seed"]) == (0, 3)
    assert selection["selector"] == {"name": "random", "parameters": {}, "features": None}


@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING.keys())
def test_file_systems_without_links(
    paths: NnUNetPaths, make_base: BaseMaker, lacking: tuple[str, ...]
) -> None:
    """The files are those that links would lead to; nothing is left over."""
    base = make_base(num_test=2)
    with without(*lacking):
        made = make_dataset(paths, "4", rho=0.2)
        assert not make_dataset(paths, "4", rho=0.2).created
    assert made.folder is not None
    copies = [made.folder / "labelsTr" / f"{c}.nii.gz" for c in made.split.val]
    copies += [f for sub in ("imagesTs", "labelsTs") for f in (made.folder / sub).iterdir()]
    assert len(copies) == 1 + 2 + 2
    for copy in copies:
        assert copy.read_bytes() == (base / copy.parent.name / copy.name).read_bytes()
    assert not list(paths.raw.parent.rglob(".nnsparse*"))


def test_no_two_of_the_split_share_a_case(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    split = make_dataset(paths, "4", rho=0.2).split
    parts = [set(split.train), set(split.val), set(split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10


@given(st.integers(1, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 99))
def test_volumes_of_a_smaller_share_are_among_those_of_a_larger_one(
    num_train: int, s: float, t: float, seed: int
) -> None:
    train = [f"case_{i}" for i in range(num_train)]
    few, many = (choose_volumes(train, share, seed) for share in sorted((s, t)))
    assert set(few) <= set(many) <= set(train)
    assert len(few) == num_annotated_volumes(min(s, t), num_train)
    assert choose_volumes(train[::-1], s, seed) == choose_volumes(train, s, seed)


def test_nested_volumes(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base(num_train=16)
    chosen = [
        set(make_dataset(paths, "4", rho=0.2, s=s).selection.cases) for s in (0.125, 0.25, 0.5, 1)
    ]
    assert chosen[0] < chosen[1] < chosen[2] < chosen[3]


def test_same_bytes_for_any_number_of_processes(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    first = make_dataset(paths, "4", rho=0.3, selector="random", num_processes=1)
    moved = paths.raw / "first"
    made(first).rename(moved)
    second = make_dataset(paths, "4", rho=0.3, selector="random", num_processes=3)
    assert tree(moved) == tree(made(second))


def test_seed_and_case_decide_alone(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    few = make_dataset(paths, "4", rho=0.3, s=0.4, selector="random").selection.cases
    many = make_dataset(paths, "4", rho=0.3, s=1, selector="random").selection.cases
    other = make_dataset(paths, "4", rho=0.3, s=1, selector="random", seed=1).selection.cases
    assert all(many[case_id] == case for case_id, case in few.items())
    assert many != other


def test_labels_do_not_influence_the_choice(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base()
    first = make_dataset(paths, "4", rho=0.3, selector="random", dry_run=True)
    for file in (base / "labelsTr").iterdir():
        image = sitk.ReadImage(str(file)) * 0
        sitk.WriteImage(image, str(file))
    second = make_dataset(paths, "4", rho=0.3, selector="random", dry_run=True)
    assert first.selection == second.selection


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("selector", ["random", "fixed", "ual"])
def test_positive_weight_prefers_slices_with_foreground(
    paths: NnUNetPaths, make_base: BaseMaker, selector: str
) -> None:
    base = make_base(shapes=[(20, 4, 4)])
    for file in (base / "labelsTr").iterdir():
        label = sitk.GetImageFromArray(np.repeat(np.arange(20) < 5, 16).reshape(20, 4, 4) * 1)
        label.CopyInformation(sitk.ReadImage(str(file)))
        sitk.WriteImage(sitk.Cast(label, sitk.sitkUInt8), str(file))
    result = make_dataset(paths, "4", rho=0.2, selector=selector, positive_weight=99999)
    assert all(set(c.slices) <= set(range(5)) for c in result.selection.cases.values())
    assert made(result).name.endswith(f"_{selector}_pw99999_seed0")
    # where all of these are annotated, the others follow
    more = make_dataset(paths, "4", rho=0.5, selector=selector, positive_weight=99999, dry_run=True)
    assert all({*range(5)} < set(c.slices) for c in more.selection.cases.values())


def test_regions_and_channels(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    base = make_base(channels=2, labels=labels, extra={"regions_class_order": [1, 2]})
    result = make_dataset(paths, "4", rho=0.2)
    content = read_json(made(result) / "dataset.json")
    # the order of the labels is the order of the network's outputs
    assert list(content["labels"].items()) == [*labels.items(), ("ignore", 3)]
    assert all(len(files["images"]) == 2 for files in content["dataset"].values())
    check_sparse_labels(result, base)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_other_formats(paths: NnUNetPaths, make_base: BaseMaker, ending: str) -> None:
    base = make_base(ending=ending)
    check_sparse_labels(make_dataset(paths, "4", rho=0.2), base, ending)


def test_tiff_with_spacing_files(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base(ending=".tif")
    for part in ("images", "labels"):
        for i in range(10):
            (base / f"{part}Tr" / f"tr_{i:02d}.json").write_text('{"spacing": [3, 1, 1]}')
    result = make_dataset(paths, "4", rho=0.2)
    reader = find_reader("Tiff3DIO")()
    case_id = next(iter(result.selection.cases))
    sparse, properties = reader.read_seg(str(made(result) / "labelsTr" / f"{case_id}.tif"))
    dense, _ = reader.read_seg(str(base / "labelsTr" / f"{case_id}.tif"))
    annotated = list(result.selection.cases[case_id].slices)
    np.testing.assert_array_equal(sparse[0][annotated], dense[0][annotated])
    assert (np.delete(sparse[0], annotated, axis=0) == 3).all()
    assert properties["spacing"] == [3, 1, 1]
    test_images = [str(p) for p in sorted((made(result) / "imagesTs").glob("*.tif"))]
    assert reader.read_images(test_images[:1])[1]["spacing"] == [3, 1, 1]


def test_mapped_base(paths: NnUNetPaths, make_base: BaseMaker, tmp_path: Path) -> None:
    """A base whose dataset.json refers to files elsewhere."""
    base = make_base()
    elsewhere = tmp_path / "elsewhere"
    (base / "imagesTr").rename(elsewhere)
    content = read_json(base / "dataset.json")
    content["dataset"] = {
        f"tr_{i:02d}": {
            "images": [str(elsewhere / f"tr_{i:02d}_0000.nii.gz")],
            "label": f"labelsTr/tr_{i:02d}.nii.gz",
        }
        for i in range(10)
    }
    (base / "dataset.json").write_text(json.dumps(content))
    result = make_dataset(paths, "4", rho=0.2)
    check_sparse_labels(result, base)
    for files in read_json(made(result) / "dataset.json")["dataset"].values():
        image = made(result) / files["images"][0]
        assert image.resolve().parent == elsewhere.resolve()


def test_same_call_again(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    first = make_dataset(paths, "4", rho=0.2)
    before = tree(paths.raw)
    second = make_dataset(paths, "4", rho=0.2)
    assert (first.created, second.created) == (True, False)
    assert first.folder == second.folder
    assert tree(paths.raw) == before


def test_other_content_under_the_same_name(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    first = make_dataset(paths, "4", rho=0.2)
    folds = made(first) / "splits_final.json"
    folds.write_text('[{"train": ["case_1"], "val": ["case_2"]}]')
    before = tree(made(first))
    with pytest.raises(SparseError, match=r"other content \(splits_final.json\).*--overwrite"):
        make_dataset(paths, "4", rho=0.2)
    assert tree(made(first)) == before
    second = make_dataset(paths, "4", rho=0.2, repeats=5, overwrite=True)
    assert second.folder == first.folder
    assert len(read_json(folds)) == 5
    assert {p.name for p in paths.raw.iterdir()} == {"Dataset004_Tiny", made(first).name}


def test_repeats_are_added_and_none_is_lost(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    first = make_dataset(paths, "4", rho=0.2, repeats=1)
    labels = tree(made(first) / "labelsTr")
    folds = made(first) / "splits_final.json"
    (fold,) = read_json(folds)
    assert make_dataset(paths, "4", rho=0.2, repeats=5, dry_run=True).folder == first.folder
    assert read_json(folds) == [fold]
    for repeats in (5, 2):
        again = make_dataset(paths, "4", rho=0.2, repeats=repeats)
        assert (again.folder, again.created) == (first.folder, False)
        assert read_json(folds) == [fold] * 5
    assert tree(made(first) / "labelsTr") == labels


def test_two_bases_of_one_name(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base("Dataset004_Tiny")
    make_base("Dataset005_Tiny")
    first, second = (make_dataset(paths, name, rho=0.2) for name in ("4", "5"))
    assert [made(r).name[:10] for r in (first, second)] == ["Dataset500", "Dataset501"]


def test_ids(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    (paths.results / "Dataset500_Other").mkdir()
    (paths.preprocessed / "Dataset501_Other").mkdir()
    assert made(make_dataset(paths, "4", rho=0.2)).name[:10] == "Dataset502"
    assert made(make_dataset(paths, "4", rho=0.3, dataset_id=77)).name[:10] == "Dataset077"
    for taken in (4, 77, 500, 501, 502):
        with pytest.raises(SparseError, match=f"ID {taken} is taken by Dataset"):
            make_dataset(paths, "4", rho=0.4, dataset_id=taken)
    with pytest.raises(SparseError, match="between 1 and 999, got 1000"):
        make_dataset(paths, "4", rho=0.4, dataset_id=1000)
    with pytest.raises(SparseError, match="exists already as Dataset077"):
        make_dataset(paths, "4", rho=0.3, dataset_id=78)


def test_dry_run_writes_nothing(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    root = paths.raw.parent
    before = tree(root)
    result = make_dataset(paths, "4", rho=0.2, dry_run=True)
    assert (result.folder, result.created) == (None, False)
    assert sorted(p.name for p in root.rglob("*.lock")) == []
    assert tree(root) == before


def test_axis_in_the_name(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    assert make_dataset(paths, "4", rho=0.2, axis="axial").suffix == (
        "Tiny_rho0.200_s1.000_fixed_seed0"
    )
    assert make_dataset(paths, "4", rho=0.2, axis="2").suffix == (
        "Tiny_rho0.200_s1.000_fixed_axis2_seed0"
    )


def test_names_do_not_hide_a_difference(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    assert make_dataset(paths, "4", rho=0.2004, dry_run=True).suffix.startswith("Tiny_rho0.2004_")


def test_failure_leaves_nothing(
    paths: NnUNetPaths, make_base: BaseMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_base()
    before = tree(paths.raw.parent)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("nnunet_sparse.data.label_files.write_label_like", no_space)
    with pytest.raises(SparseError, match=r"cannot write .*No space left"):
        make_dataset(paths, "4", rho=0.2)
    assert tree(paths.raw.parent) == before


def test_seed_of_the_split_is_not_that_of_the_variant(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    make_base()
    first = make_dataset(paths, "4", rho=0.2, seed=1, split=SplitRequest(val=2, test=3))
    second = make_dataset(paths, "4", rho=0.2, seed=2)
    assert first.split == second.split


def test_all_channels_in_one_file(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base(extra={"channel_names": {"0": "T1", "1": "T2"}})
    for file in (base / "imagesTr").iterdir():
        image = sitk.ReadImage(str(file))
        sitk.WriteImage(sitk.JoinSeries([image, image]), str(file))
    check_sparse_labels(make_dataset(paths, "4", rho=0.2), base)


def test_labels_whole_up_to_rounding_are_whole_for_nnunet(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    base = make_base(num_test=1)
    expected = {}
    for file in base.glob("labelsT*/*.nii.gz"):
        expected[file.name] = array(file)
        label = expected[file.name].astype(np.float32)
        label[label == 1] = np.nextafter(np.float32(1), np.float32(0))
        write_volume(file, label)
    before = tree(base)
    folder = made(make_dataset(paths, "4", rho=1.0))
    assert tree(base) == before
    for part in ("Tr", "Ts"):
        for file in (folder / f"labels{part}").iterdir():
            found = array(file)  # as SimpleITK, and with it nnU-Net, reads it
            assert found.dtype.kind == "u"
            np.testing.assert_array_equal(found, expected[file.name])
    assert not list(folder.glob("**/.nnsparse*"))
