"""What all converters share, by the example of LiTS17."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from lits_conversion import SIZE, Convert, refused
from published_trees import lits_arrays, volume, write_nifti
from tiny import array, tree

from nnunet_sparse.dataset_tools.convert import convert as module
from nnunet_sparse.dataset_tools.convert.convert_command import main_lits17
from nnunet_sparse.dataset_tools.convert.target_grid import TargetGrid
from nnunet_sparse.system.paths import NnUNetPaths


def test_report(convert: Convert) -> None:
    folder = convert("--size", "2", "8", "10")
    report = json.loads((folder / "conversion.json").read_text("utf-8"))
    case = report["cases"]["lits_003"]
    assert case["image"] == "Training Batch 2/volume-3.nii.gz"
    assert case["labels"] == ["Training Batch 2/segmentation-3.nii.gz"]
    assert case["source"] == {
        "shape": [6, 8, 10], "spacing_mm": [1, 1, 1], "origin_mm": [5, -7, 103],
    }  # fmt: skip
    assert case["stored_axes"] == "RAS"
    assert case["target"]["shape"] == [3, 8, 10]  # the liver has three slices
    assert case["enlarged_voxels"] == [1, 0, 0]
    assert case["voxels"] == {
        "liver": {"before": 58, "after": 58},
        "tumour": {"before": 2, "after": 2},
    }
    assert (case["foreground_lost"], case["restored_objects"]) == (0, 0)
    rows = (folder / "conversion.csv").read_text("utf-8").splitlines()
    assert len(rows) == 5
    assert "lits_003" in rows[4]
    assert "3 8 10" in rows[4]
    assert sorted(p.name for p in folder.iterdir()) == [
        "conversion.csv", "conversion.json", "dataset.json",
        "imagesTr", "imagesTs", "labelsTr", "labelsTs",
    ]  # fmt: skip


def test_crop_moves_to_the_foreground(convert: Convert, capfd: pytest.CaptureFixture[str]) -> None:
    folder = convert("--size", "6", "8", "5")
    report = json.loads((folder / "conversion.json").read_text("utf-8"))
    assert report["cases"]["lits_000"]["shift_voxels"] == [0, 0, 1]  # columns 3 to 7, not 2 to 6
    assert "4 moved to contain the foreground" in capfd.readouterr().out


def test_native_keeps_every_voxel(convert: Convert) -> None:
    folder = convert("--native")
    (file,) = folder.glob("images*/lits_002_0000.nii.gz")
    np.testing.assert_array_equal(array(file), lits_arrays()[0])


def test_same_call_again_and_another_one(
    paths: NnUNetPaths, convert: Convert, source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = convert()
    before = tree(paths.raw.parent)
    convert()
    assert f"exists: {folder}" in capfd.readouterr().out
    assert "exists with other content" in refused(capfd, source, *SIZE, "--seed", "1")
    # another seed means another split, which never changes
    line = refused(capfd, source, *SIZE, "--seed", "1", "--overwrite")
    assert "has another split" in line
    assert tree(paths.raw.parent) == before
    assert main_lits17([str(source), "--native", "-np", "1", "--overwrite"]) == 0
    assert array(next(folder.glob("images*/lits_000_0000.nii.gz"))).shape == (6, 8, 10)
    assert not list(paths.raw.glob(".*"))


def test_dry_run_writes_nothing(
    paths: NnUNetPaths, source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = tree(paths.raw.parent)
    assert main_lits17([str(source), "-np", "1", "--dry_run"]) == 0
    out = capfd.readouterr().out
    assert "would make: DatasetXXX_LiTS17" in out
    assert "2 train, 1 val, 1 test" in out
    assert "lits_002: " in out
    assert tree(paths.raw.parent) == before


@pytest.mark.slow  # starts processes
def test_number_of_processes_does_not_matter(paths: NnUNetPaths, source: Path) -> None:
    for name, count in (("One", "1"), ("Two", "2")):
        assert main_lits17([str(source), *SIZE, "-o", name, "-np", count]) == 0
    one, two = (tree(paths.raw / name) for name in ("Dataset500_One", "Dataset501_Two"))
    for name in ("dataset.json",):
        del one[name], two[name]
    assert one == two


def test_a_killed_call_is_gone_on_with(
    paths: NnUNetPaths, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = module.write_nifti, []

    def interrupted(image: sitk.Image, path: Path) -> None:
        if len(written) == 5:  # two cases and an image
            raise KeyboardInterrupt
        written.append(path.name)
        write(image, path)

    monkeypatch.setattr(module, "write_nifti", interrupted)
    arguments = [str(source), *SIZE, "-np", "1"]
    assert main_lits17(arguments) == 130
    assert [p.name for p in paths.raw.iterdir()] == [".nnsparse_partial_500"]
    file = source / "Training Batch 1" / "segmentation-1.nii"  # of a finished case
    label = lits_arrays()[1]
    label[1, 2, 3] = 2
    write_nifti(volume(label, origin=(5, -7, 101)), file)
    first, written = written, []
    monkeypatch.setattr(
        module, "write_nifti", lambda image, path: (written.append(path.name), write(image, path))
    )
    assert main_lits17(arguments) == 0
    assert len(first) == 5
    assert "lits_000.nii.gz" not in written
    assert "lits_001.nii.gz" in written
    (made,) = paths.raw.glob("Dataset500_LiTS17/labels*/lits_001.nii.gz")
    assert (array(made) == 2).sum() == 3
    assert main_lits17([*arguments, "-o", "Undisturbed"]) == 0
    undisturbed = tree(paths.raw / "Dataset501_Undisturbed")
    del undisturbed["dataset.json"]  # which holds the name
    assert undisturbed.items() <= tree(paths.raw / "Dataset500_LiTS17").items()


def test_what_another_call_has_left_is_removed(paths: NnUNetPaths, convert: Convert) -> None:
    for number, name in ((500, "LiTS17"), (501, "Other")):
        left = paths.raw / f".nnsparse_partial_{number}"
        left.mkdir()
        mark = {"name": name, "parameters": {"task": "else"}}
        (left / ".nnsparse_staged.json").write_text(json.dumps(mark))
    assert convert().name == "Dataset500_LiTS17"
    assert [p.name for p in paths.raw.glob(".*")] == [".nnsparse_partial_501"]


def test_failure_leaves_nothing(
    paths: NnUNetPaths, source: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nibabel, "save", full_disk)
    assert "No space left on device" in refused(capfd, source, *SIZE)
    assert list(paths.raw.iterdir()) == []
    assert list(paths.preprocessed.iterdir()) == []


def test_sources_are_not_touched(source: Path, convert: Convert) -> None:
    before = tree(source)
    convert()
    assert tree(source) == before


@pytest.mark.usefixtures("paths")
def test_lost_foreground_is_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    corner = TargetGrid((2, 8, 10), (1.0, 1.0, 1.0))  # slices 0 and 1 of the liver's 1 to 3
    monkeypatch.setattr(module, "target_grid", lambda *_: corner)
    assert "volume-0.nii: 40 foreground voxels would lie outside" in refused(capfd, source)


@pytest.mark.usefixtures("paths")
def test_a_label_that_would_vanish_is_refused(
    source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = refused(capfd, source, "--spacing", "20", "20", "20", "--size", "2", "2", "2")
    assert "segmentation-0.nii: liver (58 voxels) would vanish" in line
    assert "--native" in line
