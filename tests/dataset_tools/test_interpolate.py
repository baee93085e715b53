"""Interpolated data sets."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import BaseMaker
from sparse_datasets import make_dataset
from tiny import array, made, read_json, tree

from nnunet_sparse.data.label_files import find_reader
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.dataset_tools import interpolated_labels as module
from nnunet_sparse.dataset_tools.interpolate import interpolate_dataset
from nnunet_sparse.dataset_tools.interpolate_command import main
from nnunet_sparse.dataset_tools.interpolated_labels import read_provenance
from nnunet_sparse.dataset_tools.make_dataset_command import main as make_dataset_command
from nnunet_sparse.interpolation.dense_label import NEVER_REACHED
from nnunet_sparse.interpolation.methods import method_names
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

METHODS = method_names(with_model=False)
WAYS = [*(Interpolation(method) for method in METHODS), Interpolation(one_way=True)]


def run(paths: NnUNetPaths, way: Interpolation, name: str = "500", **options: Any) -> Path:
    return interpolate_dataset(paths, name, way, device="cpu", **options).folder


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("has_spacing", [True, False])
def test_tiff_keeps_its_spacing(
    paths: NnUNetPaths, make_base: BaseMaker, method: str, has_spacing: bool
) -> None:
    base = make_base(ending=".tif")
    for part in ("images", "labels") if has_spacing else ():
        for i in range(10):
            (base / f"{part}Tr" / f"tr_{i:02d}.json").write_text('{"spacing": [3, 1, 1]}')
    sparse = make_dataset(paths, "4", rho=0.3, axis="0")
    folder = run(paths, Interpolation(method))
    reader = find_reader("Tiff3DIO")()
    for case_id, case in sparse.selection.cases.items():
        old, new = (
            reader.read_seg(str(place / "labelsTr" / f"{case_id}.tif"))
            for place in (made(sparse), folder)
        )
        assert new[1]["spacing"] == old[1]["spacing"]
        assert not has_spacing or new[1]["spacing"] == [3, 1, 1]
        known = list(case.slices)
        np.testing.assert_array_equal(new[0][0, known], old[0][0, known])
        assert not (new[0] == read_json(folder / "dataset.json")["labels"]["ignore"]).any()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("axis", ["0", "2"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_annotated_slices_stay_and_the_others_are_filled(
    paths: NnUNetPaths, make_base: BaseMaker, way: Interpolation, axis: str
) -> None:
    make_base(channels=2)
    sparse = make_dataset(paths, "4", rho=0.3, s=0.5, axis=axis)
    before = tree(paths.raw)
    folder = run(paths, way)
    assert folder.name == f"Dataset501_{sparse.suffix.replace('_seed', f'_{way.name}_seed')}"
    assert {k: v for k, v in tree(paths.raw).items() if not k.startswith(folder.name)} == before
    ignore = read_json(folder / "dataset.json")["labels"]["ignore"]
    for case_id, case in sparse.selection.cases.items():
        name = f"labelsTr/{case_id}.nii.gz"
        old, new = (sitk.ReadImage(str(place / name)) for place in (made(sparse), folder))
        for of in ("GetSpacing", "GetOrigin", "GetDirection", "GetSize"):
            assert getattr(old, of)() == getattr(new, of)()
        label, was = (np.moveaxis(array(p / name), int(axis), 0) for p in (folder, made(sparse)))
        known = list(case.slices)
        np.testing.assert_array_equal(label[known], was[known])
        assert not (label == ignore).any()
        origin = read_provenance(folder, case_id)
        assert np.flatnonzero(origin["hops"] == 0).tolist() == known
        np.testing.assert_array_equal(origin["source"][known], known)
        assert not label[origin["source"] == NEVER_REACHED].any()
        confidence = np.moveaxis(origin["confidence"], int(axis), 0)
        assert (confidence[known] == 1).all()
    dataset, old_dataset = RawDataset.open(folder), RawDataset.open(made(sparse))
    assert [c.images for c in dataset.training.values()] == [
        c.images for c in old_dataset.training.values()
    ]
    assert set(dataset.test) == set(sparse.split.test)
    for val in sparse.split.val:
        np.testing.assert_array_equal(
            array(folder / "labelsTr" / f"{val}.nii.gz"),
            array(made(sparse) / "labelsTr" / f"{val}.nii.gz"),
        )
    first = tree(folder)
    again = interpolate_dataset(paths, "500", way, device="cpu", num_processes=2)
    assert not again.created
    assert tree(folder) == first


def test_unsure_voxels_stay_ignore(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    make_dataset(paths, "4", rho=0.3, s=0.1)
    folder = run(paths, Interpolation("nearest", min_confidence=0.9))
    assert folder.name.endswith("_fixed_mi_nearest_conf0.9_seed0")
    ignore = read_json(folder / "dataset.json")["labels"]["ignore"]
    (file,) = (folder / "interpolation").glob("*.npz")
    confidence = read_provenance(folder, file.stem)["confidence"]
    label = array(folder / "labelsTr" / f"{file.stem}.nii.gz")
    np.testing.assert_array_equal(label == ignore, confidence < 0.9)
    assert 0 < (label == ignore).mean() < 1


@pytest.mark.usefixtures("short")
def test_another_network_makes_another_data_set(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    make_dataset(paths, "4", rho=0.3)
    folder = run(paths, Interpolation())
    model = paths.preprocessed / "Dataset004_Tiny/nnsparse/interpolator_tiny_axis0_seed0"
    shutil.rmtree(model)
    other = run(paths, Interpolation(changes=(("num_steps", 3),)))
    assert other.name.endswith("_mi_correspondence_numsteps3_seed0")
    shutil.copytree(f"{model}_numsteps3", model)
    (model / "training.json").write_text(
        (model / "training.json").read_text("utf-8").replace('"num_steps": 3', '"num_steps": 2')
    )
    with pytest.raises(SparseError, match=rf"{folder.name} exists with other content"):
        run(paths, Interpolation())


def test_what_can_be_refused_is_refused_before_training(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    make_base()
    sparse = make_dataset(paths, "4", rho=0.3)
    with pytest.raises(SparseError, match="ID 4 is taken"):
        run(paths, Interpolation(), dataset_id=4)
    content = read_json(made(sparse) / "dataset.json")
    del content["labels"]["ignore"]
    (made(sparse) / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(SparseError, match="declares no ignore label"):
        run(paths, Interpolation())
    assert not (paths.preprocessed / "Dataset004_Tiny" / "nnsparse").exists()


def test_every_slice_annotated(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base()
    sparse = make_dataset(paths, "4", rho=1.0)
    folder = run(paths, Interpolation("shape"))
    for case_id in sparse.selection.cases:
        name = f"labelsTr/{case_id}.nii.gz"
        np.testing.assert_array_equal(array(folder / name), array(base / name))


@pytest.mark.usefixtures("short")
def test_a_killed_call_goes_on_at_its_volume(
    paths: NnUNetPaths, make_base: BaseMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_base()
    make_dataset(paths, "4", rho=0.3)
    write, written = module._write_label, []

    def write_two(job: Any, **options: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        write(job, **options)
        written.append(job.case.case_id)

    monkeypatch.setattr(module, "_write_label", write_two)
    with pytest.raises(KeyboardInterrupt):
        run(paths, Interpolation())
    assert not list(paths.raw.glob("Dataset501*"))

    def write_others(job: Any, **options: Any) -> None:
        assert job.case.case_id not in written
        write(job, **options)

    monkeypatch.setattr(module, "_write_label", write_others)
    folder = run(paths, Interpolation())
    monkeypatch.setattr(module, "_write_label", write)
    other = run(paths, Interpolation(), overwrite=True)
    assert tree(other) == tree(folder)


def test_the_command(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base()
    make_dataset(paths, "4", rho=0.3)
    assert main(["-d", "500", "--method", "shape", "-np", "1"]) == 0
    assert "Dataset501_Tiny_rho0.300_s1.000_fixed_mi_shape_seed0" in capsys.readouterr().out
    for argv, message in (
        (["-d", "4"], "Dataset004_Tiny has no selection.json"),
        (["-d", "501"], "is interpolated already"),
        (["-d", "500", "--method", "shape", "--one_way"], "one_way works with correspondence"),
        (
            ["-d", "500", "--method", "shape", "--preset", "full"],
            "--preset works with correspondence, not with shape",
        ),
        (
            ["-d", "500", "--method", "nearest", "--change", "radius=4"],
            "--change works with correspondence or published, not with nearest",
        ),
        (["-d", "500", "--min_confidence", "2"], "min_confidence must lie in [0, 1], got 2"),
        (["-d", "500", "--method", "magic"], "invalid choice: 'magic'"),
    ):
        try:
            status = main([*argv, "-np", "1"])
        except SystemExit as end:
            status = int(end.code or 0)
        assert status == 2
        assert message in capsys.readouterr().err


@pytest.mark.usefixtures("short")
def test_the_network_is_not_needed_any_more(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    make_dataset(paths, "4", rho=0.3)
    way = Interpolation(changes=(("radius", 2),))
    folder = run(paths, way)
    (model,) = (paths.preprocessed / "Dataset004_Tiny" / "nnsparse").glob("interpolator_*")
    shutil.rmtree(model)
    again = interpolate_dataset(paths, "500", way, device="cpu")
    assert (again.folder, again.created) == (folder, False)
    assert not model.exists()
    # another one is needed for another interpolation
    assert run(paths, Interpolation(changes=(("radius", 2),), verify=True)) != folder
    assert model.exists()


def test_an_unfinished_folder_of_another_version_is_left_alone(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    make_base()
    sparse = make_dataset(paths, "4", rho=0.3)
    old = paths.raw / ".nnsparse_partial_501"
    old.mkdir()
    content = read_json(made(sparse) / "selection.json")
    content["variant"]["interpolation"] = {"method": "shape", "of_yesterday": True}
    (old / "selection.json").write_text(json.dumps(content))
    before = tree(old)
    assert run(paths, Interpolation("shape")).name.startswith("Dataset502")
    assert tree(old) == before


def test_regions(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base()
    content = read_json(base / "dataset.json")
    content["labels"] = {"background": 0, "whole": [1, 2], "core": 2}
    content["regions_class_order"] = [1, 2]
    (base / "dataset.json").write_text(json.dumps(content))
    sparse = make_dataset(paths, "4", rho=0.3)
    folder = run(paths, Interpolation("shape"))
    for case_id in sparse.selection.cases:
        label = array(folder / "labelsTr" / f"{case_id}.nii.gz")
        assert set(np.unique(label)) <= {0, 1, 2}


def test_labels_that_were_changed_are_refused(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    sparse = make_dataset(paths, "4", rho=0.3)
    files = sorted((made(sparse) / "labelsTr").iterdir())
    case_ids = sorted(sparse.selection.cases)
    image = sitk.ReadImage(str(made(sparse) / "labelsTr" / f"{case_ids[0]}.nii.gz"))
    dense = sitk.Cast(image * 0, image.GetPixelID())
    dense.CopyInformation(image)
    sitk.WriteImage(dense, str(made(sparse) / "labelsTr" / f"{case_ids[0]}.nii.gz"))
    with pytest.raises(SparseError, match=f"{case_ids[0]}.*other slices are annotated"):
        run(paths, Interpolation("nearest"))
    assert not list(paths.raw.glob(".nnsparse_partial_*"))
    assert sorted((made(sparse) / "labelsTr").iterdir()) == files


def test_all_at_once(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base()
    argv = ["-d", "4", "--rho", "0.3", "--interpolate", "nearest", "-np", "1"]
    assert make_dataset_command(argv) == 0
    made_at_once = capsys.readouterr().out
    assert "Dataset500_Tiny_rho0.300_s1.000_fixed_seed0" in made_at_once
    folder = paths.raw / "Dataset501_Tiny_rho0.300_s1.000_fixed_mi_nearest_seed0"
    assert f"made:       {folder}" in made_at_once
    assert run(paths, Interpolation("nearest")) == folder
    assert make_dataset_command([*argv[:4], "--one_way"]) == 2
    assert "--one_way works with --interpolate" in capsys.readouterr().err
    assert make_dataset_command([*argv[:4], "--preset", "full"]) == 2
    assert "--preset works with --interpolate" in capsys.readouterr().err
    assert make_dataset_command([*argv, "--one_way"]) == 2
    assert "one_way works with correspondence" in capsys.readouterr().err


def change_label(file: Path, value: int) -> None:
    """Set one annotated voxel of a sparse label."""
    image = sitk.ReadImage(str(file))
    label = sitk.GetArrayFromImage(image)
    known = np.argwhere(label != 3)[0]
    label[tuple(known)] = value
    changed = sitk.GetImageFromArray(label)
    changed.CopyInformation(image)
    sitk.WriteImage(changed, str(file))


def test_labels_that_changed_since_are_noticed(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    sparse = make_dataset(paths, "4", rho=0.3)
    folder = run(paths, Interpolation("nearest"))
    case_id, case = next(iter(sparse.selection.cases.items()))
    file = made(sparse) / "labelsTr" / f"{case_id}.nii.gz"
    old = int(array(file)[case.slices[0]].flat[0])
    change_label(file, (old + 1) % 3)
    with pytest.raises(SparseError, match=f"labels that {folder.name} was made from have changed"):
        run(paths, Interpolation("nearest"))
    assert run(paths, Interpolation("nearest"), overwrite=True) == folder
    known = list(case.slices)
    label = array(folder / "labelsTr" / f"{case_id}.nii.gz")
    np.testing.assert_array_equal(label[known], array(file)[known])


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_killed_call_does_not_go_on_with_labels_that_changed(
    paths: NnUNetPaths, make_base: BaseMaker, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    make_base()
    sparse = make_dataset(paths, "4", rho=0.3)
    write, case_ids = module._write_label, sorted(sparse.selection.cases)

    def write_one(job: Any, **options: Any) -> None:
        if job.case.case_id != case_ids[0]:
            raise KeyboardInterrupt
        write(job, **options)

    monkeypatch.setattr(module, "map_cases", _in_order)
    monkeypatch.setattr(module, "_write_label", write_one)
    with pytest.raises(KeyboardInterrupt):
        run(paths, Interpolation("nearest"))
    assert list(paths.raw.glob(f".nnsparse_partial_*/labelsTr/{case_ids[0]}*"))
    file = made(sparse) / "labelsTr" / f"{case_ids[0]}.nii.gz"
    known = list(sparse.selection.cases[case_ids[0]].slices)
    change_label(file, (int(array(file)[known[0]].flat[0]) + 1) % 3)
    monkeypatch.setattr(module, "_write_label", write)
    folder = run(paths, Interpolation("nearest"), overwrite=overwrite)
    label = array(folder / "labelsTr" / f"{case_ids[0]}.nii.gz")
    np.testing.assert_array_equal(label[known], array(file)[known])


def _in_order(work: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
    return {name: work(inputs[name]) for name in sorted(inputs)}


def test_undeclared_values_are_refused_before_training(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    make_base()
    sparse = make_dataset(paths, "4", rho=0.3)
    case_id = next(iter(sparse.selection.cases))
    change_label(made(sparse) / "labelsTr" / f"{case_id}.nii.gz", 7)
    with pytest.raises(SparseError, match=rf"{case_id}.*values \[7\] that dataset.json does not"):
        run(paths, Interpolation())
    assert not list((paths.preprocessed / "Dataset004_Tiny" / "nnsparse").glob("interpolator*"))


@pytest.mark.parametrize("what", ["shape", "spacing"])
def test_an_image_that_was_replaced_is_refused(
    paths: NnUNetPaths, make_base: BaseMaker, what: str
) -> None:
    base = make_base()
    sparse = make_dataset(paths, "4", rho=0.3)
    case_id = next(iter(sparse.selection.cases))
    file = base / "imagesTr" / f"{case_id}_0000.nii.gz"
    image = sitk.ReadImage(str(file))
    if what == "shape":
        image = image[:-1]
    else:
        image.SetSpacing([2 * mm for mm in image.GetSpacing()])
    sitk.WriteImage(image, str(file))
    with pytest.raises(SparseError, match=f"{case_id}.*its image"):
        run(paths, Interpolation("shape"))


@pytest.mark.parametrize("content", ["", "{}", "[]", '[{"train": []}]'])
def test_damaged_folds_are_refused(paths: NnUNetPaths, make_base: BaseMaker, content: str) -> None:
    make_base()
    sparse = make_dataset(paths, "4", rho=0.3)
    (made(sparse) / "splits_final.json").write_text(content)
    with pytest.raises(SparseError, match=r"splits_final\.json .*make_dataset --overwrite"):
        run(paths, Interpolation("nearest"))


def test_a_split_or_a_base_that_is_gone_is_named(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base()
    make_dataset(paths, "4", rho=0.3)
    split = paths.preprocessed / "Dataset004_Tiny" / "nnsparse_split.json"
    split.rename(split.with_suffix(".away"))
    with pytest.raises(SparseError, match="there is no split of Dataset004_Tiny"):
        run(paths, Interpolation("nearest"))
    base.rename(base.with_name("away"))
    with pytest.raises(SparseError, match=r"Dataset004_Tiny, from which .* was made, is not in"):
        run(paths, Interpolation("nearest"))


def test_a_dry_run_tells_of_the_interpolation(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base()
    argv = ["-d", "4", "--rho", "0.3", "--interpolate", "shape", "--dry_run", "-np", "1"]
    for _ in range(2):
        assert make_dataset_command(argv) == 0
        shown = capsys.readouterr().out
        name = "DatasetXXX_Tiny_rho0.300_s1.000_fixed_mi_shape_seed0"
        assert f"would then interpolate their labels: {name}\nnothing was written\n" in shown
        make_dataset(paths, "4", rho=0.3)
