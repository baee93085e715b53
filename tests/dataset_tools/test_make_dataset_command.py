"""The command, as typed: results, and one line with status 2 for every bad input."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from conftest import BaseMaker
from tiny import read_json, tree, write_volume

from nnunet_sparse.dataset_tools.interpolate_command import main as interpolate
from nnunet_sparse.dataset_tools.make_dataset_command import main
from nnunet_sparse.system.paths import ENV_NAMES, NnUNetPaths


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line with which a call is refused."""
    capsys.readouterr()
    try:
        status: object = main([*argv, "-np", "1"])
    except SystemExit as error:  # from the argument parser
        status = error.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


def test_reports_what_was_made(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base()
    assert main(["-d", "4", "--rho", "0.2", "--s", "0.5", "--selector", "random"]) == 0
    out = capsys.readouterr().out
    assert "Dataset004_Tiny (7 train, 1 val, 2 test)" in out
    assert "in 4 of 7 training volumes" in out
    folder = paths.raw / "Dataset500_Tiny_rho0.200_s0.500_random_seed0"
    assert f"made:       {folder}" in out
    assert (
        main(["-d", "Dataset004_Tiny", "--rho", "0.2", "--s", "0.5", "--selector", "random"]) == 0
    )
    assert f"exists:     {folder}" in capsys.readouterr().out


def test_a_cross_validation(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lies beside the data set of repeats; only annotated volumes are in it."""
    make_base()
    assert main(["-d", "4", "--rho", "0.2", "-np", "1"]) == 0
    assert "3 equal ones, repeats of one split" in capsys.readouterr().out
    assert main(["-d", "4", "--rho", "0.2", "-np", "1", "--folds", "5"]) == 0
    said = capsys.readouterr().out
    assert "folds:      5 of a cross-validation of 7 annotated volumes" in said
    assert "by case: several volumes of one patient" in said
    (folder,) = paths.raw.glob("Dataset501_*_folds5")
    folds, selection = (read_json(folder / f"{n}.json") for n in ("splits_final", "selection"))
    assert sorted(c for fold in folds for c in fold["val"]) == sorted(selection["cases"])
    cases = {path.name.removesuffix(".nii.gz") for path in (folder / "labelsTr").iterdir()}
    assert cases == set(selection["cases"]) == set(read_json(folder / "dataset.json")["dataset"])
    assert main(["-d", "4", "--rho", "0.2", "-np", "1", "--folds", "5"]) == 0
    assert "exists:" in capsys.readouterr().out
    assert interpolate(["-d", folder.name, "--method", "nearest"]) == 2
    assert "holds a cross-validation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--folds", "8"), "at least 8 volumes, there are 7"),
        (("--folds", "5", "--s", "0.5"), "at least 5 volumes, there are 4"),
        (("--folds", "5", "--budget", "4", "--scope", "dataset", "--selector", "random"), "there"),
        (("--folds", "4", "--group", "tr_0[0-3]|tr_0."), None),
        (("--folds", "3", "--test", "2", "--group", "PAIRS"), None),
        (("--folds", "6", "--test", "2", "--group", "PAIRS"), "at least 6 groups of volumes"),
        (("--folds", "1"), "at least 2 folds"),
        (("--folds", "3", "--interpolate", "nearest"), "interpolate a data set with --repeats"),
        (("--group", "Q"), "finds no group in the case tr_00"),
    ],
)
def test_folds_and_groups(
    paths: NnUNetPaths,
    make_base: BaseMaker,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    options: tuple[str, ...],
    message: str | None,
) -> None:
    """What cannot be is refused before anything is written."""
    make_base()
    table = tmp_path / "pairs.csv"
    table.write_text(
        "case,patient\n" + "".join(f"tr_{i:02d},{i // 2}\n" for i in range(10)), encoding="utf-8"
    )
    options = tuple(str(table) if option == "PAIRS" else option for option in options)
    size = () if "--budget" in options else ("--rho", "0.2")
    assert main(["-d", "4", "-np", "1", *size, *options]) == (0 if message is None else 2)
    if message is None:
        assert "by group: 10 cases of" in capsys.readouterr().out
        return
    assert message in capsys.readouterr().err
    assert not list(paths.raw.glob("Dataset5*"))
    assert not list(paths.preprocessed.iterdir())


def test_dry_run_lists_the_slices(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base(shapes=[(10, 6, 5)])
    before = tree(paths.raw.parent)
    assert main(["-d", "4", "--rho", "0.3", "--dry_run", "-np", "1"]) == 0
    out = capsys.readouterr().out
    assert "budget:     21 of 70 slices along axis 0, in 7 of 7 training volumes" in out
    assert out.count(": 3 of 10: 1 5 8\n") == 7
    assert "would make: DatasetXXX_Tiny_rho0.300_s1.000_fixed_seed0: 7 sparse labels" in out
    assert tree(paths.raw.parent) == before


def test_without_d_the_only_dense_data_set_is_used(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base()
    make_base("Dataset008_Ignoring", labels={"background": 0, "organ": 1, "ignore": 2})
    shutil.rmtree(make_base("Dataset009_Unlabelled") / "labelsTr")
    (paths.raw / "Dataset010_Broken").mkdir()
    assert main(["--rho", "0.2", "-np", "1"]) == 0
    assert (
        main(["--rho", "0.3", "-np", "1"]) == 0
    )  # the sparse one of the first call does not count
    assert (paths.raw / "Dataset501_Tiny_rho0.300_s1.000_fixed_seed0").is_dir()
    make_base("Dataset005_Other")
    assert "choose one with -d: Dataset004_Tiny, Dataset005_Other" in refused(
        capsys, "--rho", "0.2"
    )


def test_without_anything_a_phantom_is_made(
    no_paths: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--rho", "0.2", "--s", "0.5", "--selector", "random"]) == 0
    raw = no_paths / "nnsparse_data" / "nnUNet_raw"
    (phantom,) = raw.glob("Dataset*_PhantomLesion")
    (sparse,) = raw.glob("Dataset*_PhantomLesion_rho0.200_s0.500_random_seed0")
    assert str(sparse) in capsys.readouterr().out
    assert json.loads((sparse / "selection.json").read_text("utf-8"))["base"] == phantom.name
    assert os.environ[ENV_NAMES[0]] == str(raw)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--rho", "1.5"], "rho must lie in (0, 1], got 1.5"),
        (["--rho", "0"], "rho must lie in (0, 1], got 0"),
        (["--rho", "nan"], "rho must lie in (0, 1], got nan"),
        (["--rho", "many"], "argument --rho: invalid float value: 'many'"),
        ([], "one of the arguments --rho --slices_per_volume --budget"),
        (["--rho", "0.2", "--s", "-1"], "s must lie in (0, 1], got -1"),
        (
            ["--rho", "0.2", "--selector", "best"],
            "unknown selector 'best', choose from bald,",
        ),
        (["--rho", "0.2", "--axis", "3"], "unknown axis '3', choose from auto, 0, 1, 2, axial"),
        (["--rho", "0.2", "--axis", "oblique"], "unknown axis 'oblique'"),
        (["--rho", "0.2", "--seed", "-1"], "--seed: must be a whole number of at least 0"),
        (["--rho", "0.2", "--seed", "x"], "--seed: must be a whole number of at least 0"),
        (["--rho", "0.2", "--selector", "random", "--positive_weight", "0"], "above 0, got 0"),
        (["--rho", "0.2", "--selector", "random", "--positive_weight", "inf"], "above 0, got inf"),
        (["--rho", "0.2", "--id", "4"], "ID 4 is taken by Dataset004_Tiny"),
        (["--rho", "0.2", "--id", "1000"], "between 1 and 999, got 1000"),
        (["--rho", "0.2", "--id", "0"], "--id: must be a whole number of at least 1"),
        (["--rho", "0.2", "--repeats", "0"], "--repeats: must be a whole number of at least 1"),
        (["--rho", "0.2", "--val", "20"], "no training case is left"),
        (["--rho", "0.2", "--val", "inf"], "val must be a number of cases"),
        (["--rho", "0.2", "--split_file", "none.json"], "none.json does not exist"),
        (["--rho", "0.2", "--what"], "unrecognized arguments: --what"),
    ],
)
def test_bad_arguments(
    paths: NnUNetPaths,
    make_base: BaseMaker,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    message: str,
) -> None:
    make_base()
    before = tree(paths.raw.parent)
    assert message in refused(capsys, "-d", "4", *argv)
    assert tree(paths.raw.parent) == before
    assert not list(paths.raw.glob(".*"))


@pytest.mark.parametrize(
    "argv",
    [
        ["--rho", "2"],
        ["--rho", "0.2", "--selector", "x"],
        ["--rho", "0.2", "--test", "5"],
        ["--rho", "0.2", "--split_file", "none.json"],
        ["--rho", "0.2", "--id", "1000"],
        ["--rho", "0.2", "-d", ""],
    ],
)
def test_bad_arguments_make_no_phantom(
    no_paths: Path, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    refused(capsys, *argv)
    assert list(no_paths.iterdir()) == []


@pytest.mark.parametrize("name", ["5", "abc", "Dataset005_None", "-4", "4.0"])
def test_unknown_data_set(
    make_base: BaseMaker, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make_base()
    message = refused(capsys, f"-d={name}", "--rho", "0.2")
    assert f"no data set '{name}'" in message
    assert "there: Dataset004_Tiny" in message


def test_paths_unset(no_paths: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nnUNet_raw, nnUNet_preprocessed, nnUNet_results not set" in refused(
        capsys, "-d", "4", "--rho", "0.2"
    )
    assert list(no_paths.iterdir()) == []


def test_some_paths_unset(
    no_paths: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_raw", str(no_paths))
    assert "nnUNet_preprocessed, nnUNet_results not set" in refused(capsys, "--rho", "0.2")


def edit_json(folder: Path, **changes: object) -> None:
    file = folder / "dataset.json"
    content = {**json.loads(file.read_text("utf-8")), **changes}
    file.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def edit_label(folder: Path, value: float) -> None:
    label = np.zeros((10, 6, 5), np.float32)
    label[3, 3, 3] = value
    write_volume(folder / "labelsTr" / "tr_00.nii.gz", label)


def move(folder: Path, row: list[float]) -> None:
    """Give the first label another first row of its affine."""
    affine = np.eye(4)
    affine[0] = row
    header = nibabel.Nifti1Header()
    header.set_data_shape((5, 6, 10))
    header.set_data_dtype(np.uint8)
    header["sform_code"] = 1
    header["srow_x"], header["srow_y"], header["srow_z"] = affine[:3]
    image = nibabel.Nifti1Image(np.zeros((5, 6, 10), np.uint8), None, header)
    for file in (folder / "imagesTr/tr_00_0000.nii.gz", folder / "labelsTr/tr_00.nii.gz"):
        nibabel.save(image, file)
    edit_json(folder, overwrite_image_reader_writer="NibabelIO")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


LABELS = {"background": 0, "organ": 1, "lesion": 2}
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no dataset.json": (lambda b: (b / "dataset.json").unlink(), "dataset.json does not exist"),
    "bad json": (lambda b: (b / "dataset.json").write_text("{"), "dataset.json is not valid JSON"),
    "no labels key": (lambda b: edit_json(b, labels=None), "dataset.json lacks labels"),
    "no labels": (lambda b: shutil.rmtree(b / "labelsTr"), "Dataset004_Tiny has no labels"),
    "no images": (lambda b: shutil.rmtree(b / "imagesTr"), "has no training cases"),
    "ignore label": (
        lambda b: edit_json(b, labels={**LABELS, "ignore": 3}),
        "already has an ignore label",
    ),
    "gap in labels": (lambda b: edit_json(b, labels={"background": 0, "b": 2}), "got [0, 2]"),
    "label no number": (lambda b: edit_json(b, labels={"background": "0"}), "'background' must be"),
    "json number": (lambda b: (b / "dataset.json").write_text("3"), "dataset.json must map keys"),
    "ending no text": (lambda b: edit_json(b, file_ending=3), "file_ending must be a str, got 3"),
    "channels no dict": (lambda b: edit_json(b, channel_names=1), "channel_names must be a dict"),
    "mapping no dict": (lambda b: edit_json(b, dataset=[1]), "dataset must map case IDs to files"),
    "mapping to nothing": (
        lambda b: edit_json(b, dataset={"a": {"images": [], "label": "x"}}),
        "case 'a' needs images and label",
    ),
    "no background": (
        lambda b: edit_json(b, labels={"other": 0, "organ": 1, "lesion": 2}),
        "nnU-Net needs the label 'background'",
    ),
    "regions without order": (
        lambda b: edit_json(b, labels={"background": 0, "whole": [1, 2]}),
        "regions need regions_class_order",
    ),
    "broken link": (
        lambda b: (
            (b / "labelsTr/tr_02.nii.gz").unlink(),
            (b / "labelsTr/tr_02.nii.gz").symlink_to("nowhere"),
        ),
        "tr_02.nii.gz (case tr_02) does not exist",
    ),
    "singular position": (lambda b: move(b, [0.0, 0, 0, 0]), "has no valid position"),
    "position nan": (lambda b: move(b, [1.0, 0, 0, np.nan]), "has no valid position"),
    "colours": (
        lambda b: nibabel.save(
            nibabel.Nifti1Image(np.zeros((5, 6, 10), [(c, "u1") for c in "RGB"]), np.eye(4)),
            b / "labelsTr/tr_00.nii.gz",
        ),
        "tr_00",
    ),
    "other ending": (lambda b: edit_json(b, file_ending=".xyz"), "no training cases"),
    "undeclared value": (lambda b: edit_label(b, 5), "tr_00.nii.gz holds label values [5]"),
    "negative value": (lambda b: edit_label(b, -1), "tr_00.nii.gz holds label values [-1]"),
    "fraction": (lambda b: edit_label(b, 0.5), "tr_00.nii.gz holds the label value 0.5"),
    "nan": (lambda b: edit_label(b, np.nan), "tr_00.nii.gz holds the label value nan"),
    "truncated label": (lambda b: truncate(b / "labelsTr/tr_03.nii.gz"), "tr_03.nii.gz is damaged"),
    "truncated image": (
        lambda b: truncate(b / "imagesTr/tr_03_0000.nii.gz"),
        "tr_03_0000.nii.gz is damaged",
    ),
    "no nifti": (
        lambda b: (b / "imagesTr/tr_00_0000.nii.gz").write_text("hello"),
        "tr_00_0000.nii.gz is damaged or not NIfTI",
    ),
    "other shape": (
        lambda b: write_volume(b / "labelsTr/tr_01.nii.gz", np.zeros((10, 6, 6), np.uint8)),
        "tr_01_0000.nii.gz (7, 6, 5)",
    ),
    "other origin": (
        lambda b: write_volume(
            b / "labelsTr/tr_01.nii.gz", np.zeros((7, 6, 5), np.uint8), origin=(0, 0, 0)
        ),
        "tr_01.nii.gz lies elsewhere than its image",
    ),
    "other spacing": (
        lambda b: write_volume(
            b / "labelsTr/tr_01.nii.gz", np.zeros((7, 6, 5), np.uint8), spacing=(1, 1.5, 2.1)
        ),
        "tr_01.nii.gz lies elsewhere than its image",
    ),
    "missing channel": (
        lambda b: edit_json(b, channel_names={"0": "T1", "1": "T2"}),
        "has 1 image channels, dataset.json declares 2",
    ),
    "other axis": (
        lambda b: [
            write_volume(
                b / part / name,
                np.zeros((10, 6, 5), np.uint8),
                direction=(0, 0, 1.0, 1.0, 0, 0, 0, 1.0, 0),
            )
            for part, name in (
                ("imagesTr", "tr_00_0000.nii.gz"),
                ("labelsTr", "tr_00.nii.gz"),
            )
        ],
        "axial slices lie along different array axes: axis 0 in tr_0",
    ),
    "2D volumes": (
        lambda b: [
            sitk.WriteImage(sitk.Image(4, 5, sitk.sitkUInt8), str(file))
            for file in [*(b / "imagesTr").iterdir(), *(b / "labelsTr").iterdir()]
        ],
        "is a 2D image",
    ),
    "png": (lambda b: edit_json(b, file_ending=".png"), "no training cases"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_bases(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    plant, message = FAULTS[fault]
    base = make_base()
    plant(base)
    before = tree(paths.raw.parent)
    assert message in refused(capsys, "-d", "4", "--rho", "0.2")
    assert tree(paths.raw.parent) == before
    assert not list(paths.raw.glob(".*"))


def test_a_damaged_data_set_hides_no_other(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_base()
    (folder / "dataset.json").write_text("3")
    assert "dataset.json must map keys" in refused(capsys, "--rho", "0.2")
    (paths.raw / "Dataset002_Other" / "dataset.json").mkdir(parents=True)
    make_base("Dataset005_Good")
    assert main(["--rho", "0.2", "-np", "1"]) == 0


def test_cases_without_label_are_left_out_and_told(
    make_base: BaseMaker, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_base()
    (folder / "labelsTr" / "tr_03.nii.gz").unlink()
    assert main(["-d", "4", "--rho", "0.2", "-np", "1"]) == 0
    assert "1 cases of Dataset004_Tiny have no label and are left out" in caplog.text


def test_an_incomplete_data_set_of_ours_is_not_taken_for_complete(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base()
    call = ["-d", "4", "--rho", "0.2"]
    assert main([*call, "-np", "1"]) == 0
    (folder,) = paths.raw.glob("Dataset500_*")
    before = tree(folder)
    next((folder / "labelsTr").iterdir()).unlink()
    assert "other content (labelsTr/" in refused(capsys, *call)
    (folder / "selection.json").write_text("{}")
    assert "--overwrite replaces the data set" in refused(capsys, *call)
    assert main([*call, "-np", "1", "--overwrite"]) == 0
    assert tree(folder) == before


def test_dollars_in_names(make_base: BaseMaker, capsys: pytest.CaptureFixture[str]) -> None:
    make_base("Dataset004_a$HOME")
    assert "nnU-Net replaces '$' in paths" in refused(capsys, "-d", "4", "--rho", "0.2")


def test_natural_images(make_base: BaseMaker, capsys: pytest.CaptureFixture[str]) -> None:
    base = make_base()
    edit_json(base, file_ending=".png")
    for part, suffix in (("imagesTr", "_0000"), ("labelsTr", "")):
        for i in range(4):
            image = sitk.Image(4, 5, sitk.sitkUInt8)
            sitk.WriteImage(image, str(base / part / f"c{i}{suffix}.png"))
    assert "2D images (.png): there are no slices to choose" in refused(
        capsys, "-d", "4", "--rho", "0.2"
    )


def test_single_slices(make_base: BaseMaker, capsys: pytest.CaptureFixture[str]) -> None:
    make_base(shapes=[(1, 6, 5)])
    assert "one slice along axis 0" in refused(capsys, "-d", "4", "--rho", "0.2")


def test_sparse_base(make_base: BaseMaker, capsys: pytest.CaptureFixture[str]) -> None:
    make_base()
    assert main(["-d", "4", "--rho", "0.2", "-np", "1"]) == 0
    assert "is a sparse data set itself" in refused(capsys, "-d", "500", "--rho", "0.2")


def test_output_folder_that_cannot_be_written(
    paths: NnUNetPaths,
    make_base: BaseMaker,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_base()
    before = tree(paths.raw.parent)

    def read_only(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert "Permission denied" in refused(capsys, "-d", "4", "--rho", "0.2")
    monkeypatch.undo()
    assert tree(paths.raw.parent) == before
