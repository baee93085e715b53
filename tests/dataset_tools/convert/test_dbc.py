"""Duke breast MRI: choice of the series, masks of 3D Slicer, geometry, what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import MR, positions_along, values_of, write_slices
from published_trees import (
    STUDY,
    dbc_arrays,
    dbc_tree,
    write_masks,
    write_segmentation,
    write_series,
)
from tiny import array

from nnunet_sparse.data.dicom_series import Series
from nnunet_sparse.dataset_tools.convert.convert_command import main_dbc
from nnunet_sparse.dataset_tools.convert.dbc import before_contrast, read_mapping
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

SIZE = ["--size", "6", "12", "14", "--spacing", "2", "1", "1"]
PRE = Path("Duke-Breast-Cancer-MRI/Breast_MRI_001") / STUDY / "3.000000-ax dyn pre-93870"
MASKS = Path("Segmentation_Masks_NRRD/Breast_MRI_001")
BREAST = MASKS / "Segmentation_Breast_MRI_001_Breast.seg.nrrd"
INNER = MASKS / "Segmentation_Breast_MRI_001_Dense_and_Vessels.seg.nrrd"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return dbc_tree(tmp_path / "manifest-1654812109500")


def converted(paths: NnUNetPaths, name: str, case: str = "Breast_MRI_001") -> Path:
    (file,) = paths.raw.glob(f"Dataset*_{name}/labels*/{case}.nii.gz")
    return file


def test_both_tasks_share_images_and_split(paths: NnUNetPaths, source: Path) -> None:
    assert main_dbc([str(source), *SIZE, "-np", "1"]) == 0
    folders = sorted(paths.raw.glob("Dataset*"))
    assert [f.name for f in folders] == ["Dataset500_DBC_Breast", "Dataset501_DBC_FGT"]
    splits = [
        (paths.preprocessed / folder.name / "nnsparse_split.json").read_text("utf-8")
        for folder in folders
    ]
    assert splits[0] == splits[1]
    image, label = dbc_arrays()  # 6 x 10 x 12 at 2 x 1 x 1 mm: one more row and column around
    for folder, name, wanted in (
        (folders[0], "breast", label > 0),
        (folders[1], "FGT", label == 3),
    ):
        content = json.loads((folder / "dataset.json").read_text("utf-8"))
        assert content["labels"] == {"background": 0, name: 1}
        assert content["channel_names"] == {"0": "T1"}
        (file,) = folder.glob("images*/Breast_MRI_001_0000.nii.gz")
        expected = np.zeros((6, 12, 14), np.int16)
        expected[:, 1:11, 1:13] = image
        np.testing.assert_array_equal(array(file), expected)
        stored = sitk.ReadImage(str(file))
        assert (stored.GetOrigin(), stored.GetSpacing()) == ((-1, -1, 0), (1, 1, 2))
        (file,) = folder.glob("labels*/Breast_MRI_001.nii.gz")
        np.testing.assert_array_equal(array(file)[:, 1:11, 1:13] == 1, wanted)
        assert array(file).sum() == wanted.sum()


def test_both_masks_decide_on_the_voxels_of_both_tasks(paths: NnUNetPaths, source: Path) -> None:
    assert main_dbc([str(source), *SIZE, "--size", "6", "12", "4", "-np", "1"]) == 0
    for name in ("DBC_Breast", "DBC_FGT"):
        assert array(converted(paths, name)).shape == (6, 12, 10)  # the breast is 10 wide


# directions of the image's x, y, z; the mask lies in LPS on the same voxels
@pytest.mark.parametrize(
    ("orientation", "flips", "origin"),
    [
        (np.diag([-1.0, -1, 1]), (1, 2), (11, 9, 0)),  # prone, rows and columns reversed
        (np.diag([1.0, 1, -1]), (0,), (0, 0, 10)),  # files from superior to inferior
        (np.diag([-1.0, 1, -1]), (0, 2), (11, 0, 10)),
    ],
)
@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
def test_image_and_masks_with_axes_of_their_own(
    paths: NnUNetPaths,
    source: Path,
    orientation: np.ndarray,
    flips: tuple[int, ...],
    origin: tuple[float, float, float],
    space: str,
) -> None:
    image, label = dbc_arrays()
    shutil.rmtree(source / PRE)
    write_series(source / PRE, np.flip(image, flips), origin=origin, orientation=orientation)
    write_masks(source / MASKS.parent, "Breast_MRI_001", label, space=space)
    assert main_dbc([str(source), *SIZE, "-np", "1", "--task", "fgt"]) == 0
    file = converted(paths, "DBC_FGT")
    np.testing.assert_array_equal(array(file)[:, 1:11, 1:13] == 1, label == 3)
    (file,) = paths.raw.glob("Dataset*/images*/Breast_MRI_001_0000.nii.gz")
    np.testing.assert_array_equal(array(file)[:, 1:11, 1:13], image)


def test_oblique_directions_are_kept(paths: NnUNetPaths, source: Path) -> None:
    image, label = dbc_arrays()
    tilt = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    shutil.rmtree(source / PRE)
    write_series(source / PRE, image, orientation=tilt)
    for file in (BREAST, INNER):
        text = (source / file).read_bytes()
        text = text.replace(b"(1,0,0) (0,1,0) (0,0,2)", b"(1,0,0) (0,0.8,0.6) (0,-1.2,1.6)")
        (source / file).write_bytes(text)
    assert main_dbc([str(source), *SIZE, "-np", "1", "--task", "breast"]) == 0
    file = converted(paths, "DBC_Breast")
    np.testing.assert_array_equal(array(file)[:, 1:11, 1:13] == 1, label > 0)
    stored = sitk.ReadImage(str(file))
    np.testing.assert_allclose(np.reshape(stored.GetDirection(), (3, 3)), tilt, atol=1e-6)
    np.testing.assert_allclose(stored.GetOrigin(), (-1, -0.8, -0.6), atol=1e-5)


def test_values_and_layers_of_segments_are_read_from_the_header(
    paths: NnUNetPaths, source: Path
) -> None:
    label = dbc_arrays()[1]
    swapped = np.where(label == 2, 2, np.where(label == 3, 1, 0)).astype(np.uint8)
    write_segmentation(source / INNER, swapped, [("Dense", 1, 0), ("Vessels", 2, 0)])
    layers = np.stack([label == 2, label == 3], axis=-1).astype(np.uint8)
    other = str(INNER).replace("_001", "_002")
    write_segmentation(source / other, layers, [("Vessels", 1, 0), ("Dense", 1, 1)])
    assert main_dbc([str(source), *SIZE, "-np", "1", "--task", "fgt"]) == 0
    for case in ("Breast_MRI_001", "Breast_MRI_002"):
        made = array(converted(paths, "DBC_FGT", case))
        np.testing.assert_array_equal(made[:, 1:11, 1:13] == 1, label == 3)


def test_masks_on_other_voxels_are_put_on_those_of_the_image(
    paths: NnUNetPaths, source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    label = dbc_arrays()[1]
    cropped = label[1:5, 2:9, 1:12]  # as 3D Slicer saves where it crops to the segments
    write_masks(source / MASKS.parent, "Breast_MRI_001", cropped, origin=(1, 2, 2))
    assert main_dbc([str(source), *SIZE, "-np", "1", "--task", "breast"]) == 0
    made = array(converted(paths, "DBC_Breast"))
    np.testing.assert_array_equal(made[:, 1:11, 1:13] == 1, label > 0)
    assert "1 with a label on other voxels" in capfd.readouterr().out


def test_masks_elsewhere_classic_names_and_a_mapping(
    paths: NnUNetPaths, source: Path, tmp_path: Path
) -> None:
    masks = (source / MASKS.parent).rename(tmp_path / "masks")
    lines = ["original_path_and_filename,classic_path,descriptive_path"]
    for number in (1, 2, 5):
        patient = f"Breast_MRI_{number:03d}"
        folder = source / "Duke-Breast-Cancer-MRI" / patient
        (folder / STUDY).rename(folder / "1.2")
        for series in (folder / "1.2").iterdir():
            series.rename(series.with_name(f"1.2.{number}.{series.name[-1]}"))
        # the mapping calls the first pass "pre"
        lines.append(
            f"DICOM_Images/{patient}/pre/{patient}_pre_000001.dcm,"
            f"Duke-Breast-Cancer-MRI/{patient}/1.2//1.2.{number}.1/1-001.dcm,x"
        )
        lines.append(f"DICOM_Images/{patient}/post_1/a.dcm,Duke/{patient}/1.2/1.2.{number}.0/a,x")
    table = tmp_path / "mapping.csv"
    table.write_text("\n".join(lines))
    arguments = [str(source), *SIZE, "-np", "1", "--masks", str(masks), "--mapping", str(table)]
    assert main_dbc([*arguments, "--task", "fgt"]) == 0
    (file,) = paths.raw.glob("Dataset500_DBC_FGT/images*/Breast_MRI_001_0000.nii.gz")
    np.testing.assert_array_equal(array(file)[:, 1:11, 1:13], dbc_arrays()[0] + 1)


# names as they occur in the collection
@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["ax t1", "ax dyn pre", "ax dyn 1st pass", "ax dyn 4th pass"], "ax dyn pre"),
        (["ax 3d dyn", "Ph1/ax 3d dyn", "Ph2ax 3d dyn"], "ax 3d dyn"),
        (["ax 3d dyn MP", "Ph1/ax 3d dyn MP", "ax t1 pre"], "ax 3d dyn MP"),
        (["Ax Vibrant MultiPhase", "Ph3/Ax Vibrant MultiPhase"], "Ax Vibrant MultiPhase"),
        (["ax dyn", "1st ax dyn", "2nd ax dyn"], "ax dyn"),
        (["ax 3d pre", "ax dyn 1st pas", "sub ax dyn"], "ax 3d pre"),
        (
            ["t1_fl3d_tra_dynVIEWS_spair_ pre", "t1_fl3d_tra_dynVIEWS_spair 1st pass"],
            "t1_fl3d_tra_dynVIEWS_spair_ pre",
        ),
        (["ax dynamic", "ax dyn pre"], "ax dyn pre"),
    ],
)
def test_series_before_contrast_by_its_description(names: list[str], chosen: str) -> None:
    series = [Series(Path(f"{k}"), f"1.{k}", name) for k, name in enumerate(names)]
    assert before_contrast("Breast_MRI_001", series).description == chosen


def test_series_that_cannot_be_chosen() -> None:
    two = [Series(Path("3"), "1.3", "ax dyn pre"), Series(Path("4"), "1.4", "ax dyn pre")]
    with pytest.raises(SparseError, match=r"2 series may be the one before contrast: 3 \('ax dyn"):
        before_contrast("Breast_MRI_120", two)
    with pytest.raises(SparseError, match=r"no series is described as dynamic.*'ax t1'"):
        before_contrast("Breast_MRI_001", [Series(Path("3"), "1.3", "ax t1")])
    assert before_contrast("Breast_MRI_120", two, {"Breast_MRI_120": {"1.4"}}) == two[1]
    with pytest.raises(SparseError, match="no series is the one that the mapping calls 'pre'"):
        before_contrast("Breast_MRI_120", two, {})


def test_slopes_that_differ_between_slices(paths: NnUNetPaths, source: Path) -> None:
    image = dbc_arrays()[0]
    slopes = [(1, 0), (1.7, 0), (2.25, -3), (3.1, 0), (40, 0.5), (400, 0)]
    shutil.rmtree(source / PRE)
    files = write_slices(
        source / PRE,
        image,
        positions_along(6, 2),
        rescale=slopes,
        sop_class=MR,
        SeriesDescription="ax dyn pre",
    )
    (source / PRE / "._1-001.dcm").write_bytes(b"\0\5\x16\7")  # as macOS leaves on foreign disks
    assert main_dbc([str(source), *SIZE, "-np", "1", "--task", "breast"]) == 0
    (file,) = paths.raw.glob("Dataset*/images*/Breast_MRI_001_0000.nii.gz")
    expected = [values_of(file) for file in files]
    np.testing.assert_allclose(array(file)[:, 1:11, 1:13], expected, rtol=1e-6)


def doubled(source: Path) -> None:
    shutil.copytree(source / PRE, (source / PRE).with_name("9.000000-ax dyn pre-00009"))


def with_positions(source: Path, positions: list[float]) -> None:
    shutil.rmtree(source / PRE)
    write_series(source / PRE, dbc_arrays()[0], positions=positions)


def tilted(source: Path) -> None:
    shutil.rmtree(source / PRE)
    positions = positions_along(6, 2, tilt_degrees=12)
    write_slices(source / PRE, dbc_arrays()[0], positions, SeriesDescription="ax dyn pre")


def turned(source: Path) -> None:
    file = source / PRE / "1-003.dcm"
    image = sitk.ReadImage(str(file))
    other = write_series(
        source.parent / "other", sitk.GetArrayFromImage(image), uid="1.2.1.0", origin=(0, 0, 4),
        orientation=np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]]),
    )  # fmt: skip
    shutil.copy(other / "1-001.dcm", file)


def renamed(source: Path, segments: list[tuple[str, int, int]], layers: int = 1) -> None:
    label = np.zeros((6, 10, 12), np.uint8) if layers == 1 else np.zeros((6, 10, 12, 2), np.uint8)
    write_segmentation(source / INNER, label, segments)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-120])  # half of the pixels


def smaller(source: Path) -> None:
    other = write_series(
        source.parent / "other", np.zeros((6, 4, 4)), uid="1.2.1.0", origin=(0, 0, 0)
    )
    shutil.copy(other / "1-003.dcm", source / PRE / "1-003.dcm")


def nameless(source: Path) -> None:
    text = (source / INNER).read_bytes().replace(b"Segment1_LabelValue:=2", b"Segment1_Color:=2")
    (source / INNER).write_bytes(text)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no masks": (
        lambda s: shutil.rmtree(s / MASKS.parent),
        "the masks are a download of their own",
    ),
    "one mask": (
        lambda s: (s / INNER).unlink(),
        "Dense_and_Vessels.seg.nrrd does not exist; --skip_incomplete",
    ),
    "masks twice": (
        lambda s: shutil.copytree(s / MASKS, s / "copy" / "Breast_MRI_001"),
        "hold masks of one patient; keep one of them",
    ),
    "no image": (
        lambda s: shutil.rmtree(s / PRE.parent.parent),
        "has no image: there is no study of Breast_MRI_001; --skip_incomplete",
    ),
    "series twice": (doubled, "2 series may be the one before contrast"),
    "no series": (lambda s: shutil.rmtree(s / PRE), "no series is described as dynamic"),
    "two series in a folder": (
        lambda s: shutil.copy(
            s / str(PRE).replace("3.000000-ax dyn pre-93870", "5.000000-ax t1 tse c-93872")
            / "1-001.dcm",
            s / PRE / "1-101.dcm",
        ),
        "holds 2 DICOM series, expected 1",
    ),
    "a slice is missing": (
        lambda s: (s / PRE / "1-003.dcm").unlink(),
        "distances between slices vary from 2 to 4 mm: 1 of",
    ),
    "slices at one position": (
        lambda s: with_positions(s, [0, 2, 4, 4, 6, 8]),
        "two slices lie at the same position",
    ),
    "tilted": (tilted, "the stack is tilted by 12 degrees"),
    "turned": (turned, "its slices are turned against each other"),
    "single slice": (
        lambda s: [f.unlink() for f in sorted((s / PRE).iterdir())[1:]],
        "holds 1 slice, not a volume",
    ),
    "no DICOM": (
        lambda s: (s / PRE / "1-001.dcm").write_text("html"),
        "1-001.dcm is damaged: it is not recognised as a DICOM image",
    ),
    "truncated DICOM": (lambda s: half(s / PRE / "1-004.dcm"), "1-004.dcm is damaged"),
    "a slice of another size": (smaller, "ax dyn pre-93870 cannot be read"),
    "no NRRD": (lambda s: (s / BREAST).write_text("html"), "Breast.seg.nrrd cannot be read"),
    "no tissue": (
        lambda s: renamed(s, [("Segment_1", 1, 0)]),
        "must have one segment named dense or fgt or fibroglandular, it has 'Segment_1'",
    ),
    "no label value": (nameless, "the header's segments lack a name or a label value"),
    "no such layer": (
        lambda s: renamed(s, [("Dense", 1, 5)], layers=2),
        "segment 'Dense' is in layer 5 of 2",
    ),
    "layers of the breast": (
        lambda s: write_segmentation(
            s / BREAST, np.zeros((6, 10, 12, 2), np.uint8), [("Breast", 1, 0)]
        ),
        "Breast.seg.nrrd holds several values per voxel, a label has one",
    ),
    "mask of another volume": (
        lambda s: write_masks(
            s / MASKS.parent, "Breast_MRI_001", dbc_arrays()[1], origin=(5, 0, 0)
        ),
        "foreground voxels lie outside the image; is it the label of another volume?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_broken_trees_are_refused(
    paths: NnUNetPaths, source: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    harm, message = BROKEN[what]
    harm(source)
    assert main_dbc([str(source), *SIZE, "-np", "1"]) == 2
    captured = capfd.readouterr()
    assert message in captured.err.splitlines()[-1]
    assert captured.out == ""
    assert list(paths.raw.iterdir()) == []


def test_incomplete_patients_can_be_left_out(paths: NnUNetPaths, tmp_path: Path) -> None:
    source = dbc_tree(tmp_path / "manifest", (1, 2, 5, 7, 9))
    (source / INNER).unlink()
    arguments = [str(source), *SIZE, "-np", "1", "--task", "breast", "--skip_incomplete"]
    assert main_dbc([*arguments, "--exclude", "Breast_MRI_009"]) == 0
    report = json.loads(
        (paths.raw / "Dataset500_DBC_Breast" / "conversion.json").read_text("utf-8")
    )
    assert sorted(report["cases"]) == [f"Breast_MRI_00{number}" for number in (2, 5, 7)]
    assert sorted(report["left_out"]) == ["Breast_MRI_001", "Breast_MRI_009"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "Mine"], "--name and --id are for one data set; choose it with --task"),
        (["--id", "7"], "--name and --id are for one data set"),
        (["--masks", "nowhere"], "nowhere is not a folder"),
        (["--mapping", "nowhere.csv"], "nowhere.csv does not exist"),
        (["--exclude", "Breast_MRI_900"], "there is no case 'Breast_MRI_900'"),
        (
            ["--exclude", "Breast_MRI_001", "Breast_MRI_002", "Breast_MRI_005"],
            "no patient has images and both masks",
        ),
    ],
)
@pytest.mark.usefixtures("paths")
def test_bad_input(
    source: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main_dbc([str(source), *SIZE, "-np", "1", *arguments]) == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_mappings_that_a_spreadsheet_has_saved(
    tmp_path: Path, delimiter: str, encoding: str
) -> None:
    lines = [
        ("classic_path", "original_path_and_filename", "note"),
        ("Duke/p//1.2/uid/a.dcm", "DICOM_Images/Breast_MRI_001/pre/a.dcm", "x"),
        ("Duke/p//1.2/other/a.dcm", "DICOM_Images/Breast_MRI_001/post_1/a.dcm", ""),
    ]
    file = tmp_path / "mapping.csv"
    file.write_text("\n".join(map(delimiter.join, lines)), encoding)
    assert read_mapping(file) == {"Breast_MRI_001": {"uid"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "lacks the column classic_path"),
        (b"PK\x03\x04\xff\xfe\xfd", "is a workbook (.xlsx, .ods), not text; save it there as"),
    ],
)
def test_mappings_that_are_none(
    source: Path, capfd: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    table = source / "mapping.xlsx"
    table.write_bytes(content)
    assert main_dbc([str(source), "--mapping", str(table), "--dry_run"]) == 2
    assert message in capfd.readouterr().err
