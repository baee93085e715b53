"""LiTS17: layout, geometry, split, what is refused; and what all converters share."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from published_trees import lits_arrays, lits_tree, volume, write_nifti
from tiny import array, tree

from nnunet_sparse.data.check_base import check_cases, check_dataset
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split
from nnunet_sparse.dataset_tools.convert import convert as module
from nnunet_sparse.dataset_tools.convert.convert_command import main_lits17
from nnunet_sparse.dataset_tools.convert.target_grid import TargetGrid
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.training.roles import resolve_roles

SIZE = ["--size", "8", "8", "6"]
Convert = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return lits_tree(tmp_path / "LiTS17")


@pytest.fixture
def convert(paths: NnUNetPaths, source: Path) -> Convert:
    def run(*arguments: str) -> Path:
        assert main_lits17([str(source), "-np", "1", *(arguments or SIZE)]) == 0
        (folder,) = paths.raw.glob("Dataset*")
        return folder

    return run


def refused(capfd: pytest.CaptureFixture[str], source: Path, *arguments: str) -> str:
    """The one line with which the command ends."""
    capfd.readouterr()
    try:
        status: object = main_lits17([str(source), "-np", "1", *arguments])
    except SystemExit as stop:
        status = stop.code
    lines = capfd.readouterr().err.splitlines()
    lines = [line for line in lines if "split in its proportions" not in line]
    assert status == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


def test_raw_data_set(paths: NnUNetPaths, convert: Convert) -> None:
    folder = convert()
    assert folder.name == "Dataset500_LiTS17"
    content = json.loads((folder / "dataset.json").read_text("utf-8"))
    assert content["channel_names"] == {"0": "CT"}  # nnU-Net clips and scales by the foreground
    assert content["labels"] == {"background": 0, "liver": 1, "tumour": 2}
    assert content["numTraining"] == 3
    assert resolve_roles(content)["target"] == (2,)
    assert resolve_roles(content)["context"] == (1,)
    dataset = RawDataset.open(folder)
    check_dataset(dataset)
    assert len(check_cases(dataset, [*dataset.training, *dataset.test], 1)) == 4
    split, is_new = find_split(dataset, paths, SplitRequest())
    assert not is_new
    assert (len(split.train), len(split.val), len(split.test)) == (2, 1, 1)
    assert set(split.test) == set(dataset.test)
    assert not list(paths.raw.glob(".*"))


def test_geometry_is_that_of_the_volume_in_lps(convert: Convert) -> None:
    folder = convert()
    image, label = lits_arrays()  # 6 x 8 x 10
    for number in range(4):  # stored as LPS and as RAS
        (file,) = folder.glob(f"images*/lits_{number:03d}_0000.nii.gz")
        # z: one slice of padding before and after; x: 2 columns cropped on both sides
        expected = np.full((8, 8, 6), -1024, np.int16)
        expected[1:7] = image[:, :, 2:8]
        np.testing.assert_array_equal(array(file), expected)
        converted = sitk.ReadImage(str(file))
        assert converted.GetOrigin() == (5 + 2, -7, 100 + number - 1)
        assert converted.GetSpacing() == (1, 1, 1)
        assert converted.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
        assert converted.GetPixelID() == sitk.sitkInt16
        (file,) = folder.glob(f"labels*/lits_{number:03d}.nii.gz")
        np.testing.assert_array_equal(array(file)[1:7], label[:, :, 2:8])
        assert array(file).dtype == np.uint8


def test_resampling_to_another_spacing(convert: Convert) -> None:
    folder = convert("--spacing", "0.5", "2", "1", "--size", "12", "4", "10")
    (file,) = folder.glob("images*/lits_000_0000.nii.gz")
    converted = sitk.ReadImage(str(file))
    assert converted.GetSize() == (10, 4, 12)
    assert converted.GetSpacing() == (1, 2, 0.5)
    assert converted.GetOrigin() == (5, -6.5, 99.75)  # corners coincide
    image, _ = lits_arrays()
    # between two rows, and a quarter of a slice above slice 1
    expected = (0.75 * image[1, 2:4] + 0.25 * image[2, 2:4]).mean(axis=0)
    np.testing.assert_allclose(array(file)[3, 1], expected, atol=0.5)


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


@pytest.mark.parametrize(
    ("case", "name", "axes"),
    [
        ("lits_001", "Training Batch 1/segmentation-1.nii", "LPS"),
        ("lits_003", "Training Batch 2/segmentation-3.nii.gz", "RAS"),
    ],
)
def test_headers_that_disagree_are_overruled_by_the_volume(
    source: Path,
    convert: Convert,
    capfd: pytest.CaptureFixture[str],
    case: str,
    name: str,
    axes: str,
) -> None:
    label = lits_arrays()[1]
    write_nifti(volume(label, axes=axes), source / name, np.diag([-3.0, 3, 1, 1]))
    folder = convert()
    report = json.loads((folder / "conversion.json").read_text("utf-8"))
    assert report["cases"][case]["label_placement"] == "by voxels"
    assert report["cases"]["lits_000"]["label_placement"] == "same"
    (made,) = folder.glob(f"labels*/{case}.nii.gz")
    np.testing.assert_array_equal(array(made)[1:7], label[:, :, 2:8])
    assert "1 with a label by voxels only" in capfd.readouterr().out


def test_labels_with_other_axes_but_true_headers_are_believed(
    source: Path, convert: Convert
) -> None:
    label = lits_arrays()[1]
    file = source / "Training Batch 1" / "segmentation-1.nii"
    write_nifti(volume(label, origin=(5, -7, 101), axes="RAS"), file)
    folder = convert()
    (made,) = folder.glob("labels*/lits_001.nii.gz")
    np.testing.assert_array_equal(array(made)[1:7], label[:, :, 2:8])


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


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def relabelled(path: Path, value: float) -> None:
    label = lits_arrays()[1].astype(np.float32)
    label[0, 0, 0] = value
    write_nifti(volume(label, origin=(5, -7, 100)), path)


# what is done to the tree, and what the command says
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no segmentation": (
        lambda batch: (batch / "segmentation-1.nii").unlink(),
        "volume-1.nii has no segmentation; --skip_incomplete",
    ),
    "no volume": (
        lambda batch: (batch / "volume-0.nii").unlink(),
        "segmentation-0.nii has no image; --skip_incomplete",
    ),
    "twice": (
        lambda batch: write_nifti(volume(lits_arrays()[0]), batch / "copy" / "volume-0.nii"),
        "are the same case; keep one of them",
    ),
    "truncated": (lambda batch: half(batch / "volume-1.nii"), "volume-1.nii is truncated"),
    "truncated gzip": (
        lambda batch: half(batch.parent / "Training Batch 2" / "volume-2.nii.gz"),
        "volume-2.nii.gz is damaged",
    ),
    "no NIfTI": (
        lambda batch: (batch / "volume-0.nii").write_text("html"),
        "volume-0.nii is damaged or not NIfTI",
    ),
    "slice": (
        lambda batch: nibabel.save(
            nibabel.Nifti1Image(np.zeros((4, 4), np.int16), np.eye(4)), batch / "volume-0.nii"
        ),
        "volume-0.nii is a 2D image",
    ),
    "sheared": (
        lambda batch: write_nifti(
            volume(lits_arrays()[0]),
            batch / "volume-0.nii",
            np.array([[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        ),
        "volume-0.nii cannot be read",
    ),
    "other shape": (
        lambda batch: write_nifti(volume(lits_arrays((5, 8, 10))[1]), batch / "segmentation-0.nii"),
        "segmentation-0.nii has 10 x 8 x 5 voxels, its volume",
    ),
    "other label": (
        lambda batch: relabelled(batch / "segmentation-0.nii", 3),
        "segmentation-0.nii holds the label value 3; expected 0, 1, 2",
    ),
    "half label": (
        lambda batch: relabelled(batch / "segmentation-0.nii", 0.5),
        "holds the label value 0.5",
    ),
    "several values": (
        lambda batch: sitk.WriteImage(
            sitk.JoinSeries([volume(lits_arrays()[0])] * 2), str(batch / "volume-0.nii")
        ),
        "volume-0.nii is a 4D image",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_trees_are_refused(
    paths: NnUNetPaths, source: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    harm, message = BROKEN[what]
    harm(source / "Training Batch 1")
    assert message in refused(capfd, source, *SIZE)
    assert list(paths.raw.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--spacing", "1", "0", "1"], "spacing must be above 0 mm, got 1 x 0 x 1"),
        (["--spacing", "1", "nan", "1"], "spacing must be above 0 mm"),
        (["--size", "0", "8", "8"], "argument --size: must be a whole number of at least 1"),
        (["--native", "--size", "8", "8", "8"], "--native keeps the voxels"),
        (["--id", "1000"], "between 1 and 999, got 1000"),
        (["--id", "4"], "ID 4 is taken by Dataset004_Other"),
        (["-o", "../away"], "name must be letters"),
        (["-o", "Other", "--overwrite"], "Dataset004_Other is not a converted data set"),
        (["-o", "Other"], "Dataset004_Other exists with other content"),
        (["--exclude", "lits_009"], "--exclude: there is no case 'lits_009' (there are lits_000"),
        (["--exclude", "lits_000", "lits_001"], "2 cases are too few"),
        (
            ["--exclude", "lits_000", "lits_001", "lits_002", "lits_003"],
            "no case with image and label is left",
        ),
    ],
)
def test_bad_input_ends_with_one_line_and_leaves_nothing(
    paths: NnUNetPaths,
    source: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (paths.raw / "Dataset004_Other").mkdir()
    assert message in refused(capfd, source, *arguments)
    assert [p.name for p in paths.raw.iterdir()] == ["Dataset004_Other"]


def test_folders_that_are_not_lits17(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "is not a folder" in refused(capfd, tmp_path / "nowhere")
    assert "holds no volume-N.nii" in refused(capfd, tmp_path)


def test_incomplete_and_excluded_cases_can_be_left_out(source: Path, convert: Convert) -> None:
    lits_tree(source, [0, 1, 4, 5])
    (source / "Training Batch 2" / "segmentation-4.nii.gz").unlink()
    folder = convert(*SIZE, "--skip_incomplete", "--exclude", "lits_002")
    report = json.loads((folder / "conversion.json").read_text("utf-8"))
    assert sorted(report["cases"]) == ["lits_000", "lits_001", "lits_003", "lits_005"]
    assert report["left_out"]["lits_002"] == "excluded (--exclude)"
    assert report["left_out"]["lits_004"].endswith("volume-4.nii.gz has no segmentation")
