"""LiTS17: layout, geometry, split, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from lits_conversion import SIZE, Convert, refused
from published_trees import lits_arrays, lits_tree, volume, write_nifti
from tiny import array

from nnunet_sparse.data.check_base import check_cases, check_dataset
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split
from nnunet_sparse.dataset_tools.convert.convert_command import main_lits17
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.training.roles import resolve_roles


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


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("u1", "i2"), ("u2", "i4"), ("i1", "i2"), ("i2", "i2"), ("i4", "i4"), ("f4", "f4")],
)
def test_types_without_room_for_air(
    paths: NnUNetPaths, tmp_path: Path, dtype: str, expected: str
) -> None:
    """What is padded is air, -1024 HU, whatever the volume is stored as."""
    image, label = lits_arrays()
    stored = (image % 100).astype(dtype)
    source = lits_tree(tmp_path / "source", draw=lambda _: (stored, label))
    for options, first in (([*SIZE, "--spacing", "1", "1", "1"], -1024), (["--native"], None)):
        name = "N" if first is None else "P"
        assert main_lits17([str(source), "-np", "1", "--name", name, *options]) == 0
        (folder,) = paths.raw.glob(f"Dataset*_{name}")
        for file in folder.glob("images*/*"):
            voxels = array(file)
            if first is None:
                assert voxels.dtype == dtype
            else:
                assert voxels.dtype == expected
                assert (voxels[[0, 7]] == first).all()
                np.testing.assert_array_equal(voxels[1:7], stored[:, :, 2:8])


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


def ircadb_tree(folder: Path) -> Path:
    """Case 0 as it is, and two that say 1 x 1 x 1 mm, the second one stored as RAS."""
    lits_tree(folder, [0, 28, 47])
    for kind in ("volume", "segmentation"):
        file = folder / "Training Batch 1" / f"{kind}-0.nii"
        image = sitk.ReadImage(str(file))
        image.SetSpacing((1, 1, 2))
        write_nifti(image, file)
    return folder


def test_lost_spacings_are_told_and_recorded(
    paths: NnUNetPaths,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = str(ircadb_tree(tmp_path / "LiTS17"))
    for more in (["--dry_run"], []):
        caplog.clear()
        assert main_lits17([source, *SIZE, "-np", "1", *more]) == 0
        assert "2 cases (lits_028, lits_047): the header says 1 x 1 x 1 mm" in caplog.text
    assert "2 at a wrong scale" in capsys.readouterr().out
    (folder,) = paths.raw.glob("Dataset*")
    cases = json.loads((folder / "conversion.json").read_text("utf-8"))["cases"]
    assert {c: record["spacing_from"] for c, record in cases.items()} == {
        "lits_000": "header",
        "lits_028": "header, overwritten by 1 x 1 x 1",
        "lits_047": "header, overwritten by 1 x 1 x 1",
    }


def test_true_spacings_can_be_given(
    paths: NnUNetPaths, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, table = ircadb_tree(tmp_path / "LiTS17"), tmp_path / "spacings.csv"
    table.write_text("case,z,y,x\nlits_028,2,0.5,0.5\nlits_047,2,0.5,0.5\n")
    arguments = [str(source), "--native", "-np", "1", "--spacings", str(table)]
    assert main_lits17(arguments) == 0
    assert "1 x 1 x 1" not in caplog.text
    (folder,) = paths.raw.glob("Dataset*")
    report = json.loads((folder / "conversion.json").read_text("utf-8"))
    assert report["parameters"]["spacings"] == {
        case_id: [2, 0.5, 0.5] for case_id in ("lits_028", "lits_047")
    }
    image, label = lits_arrays()
    for number in (28, 47):  # stored as RAS
        record = report["cases"][f"lits_{number:03d}"]
        assert record["spacing_from"] == "--spacings"
        assert record["source"]["spacing_mm"] == record["target"]["spacing_mm"] == [2, 0.5, 0.5]
        for part, voxels in ((f"{number:03d}_0000", image), (f"{number:03d}", label)):
            (file,) = folder.glob(f"*s*/lits_{part}.nii.gz")
            np.testing.assert_array_equal(array(file), voxels)
            assert sitk.ReadImage(str(file)).GetSpacing() == (0.5, 0.5, 2)
    assert main_lits17([*arguments[:-2], "--name", "Other"]) == 0  # without the table


def test_spacings_of_other_cases_are_refused(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spacings.csv").write_text("case,z,y,x\nlits_028,2,0.5,0.5\n")
    options = [*SIZE, "--spacings", str(tmp_path / "spacings.csv")]
    assert "--spacings: there is no case 'lits_028'" in refused(capfd, source, *options)


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
