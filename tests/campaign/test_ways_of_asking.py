"""Every kind of file among the annotations, crossed with every way of asking for what is there.

Case ``a`` and ``c`` are annotated; of ``b`` there is the prefilled label, and one more file. What
it holds may be taken, or refused; nobody may say without it that ``b`` shows no object.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile
from campaign.annotation_fixtures import (
    ASKED,
    IGNORE,
    MASK,
    SHAPE,
    label_of,
    make_campaign,
    placed,
    write_dicom_segmentation,
    write_dicom_series,
)
from campaign.annotator import read_rows
from PIL import Image
from published_trees import write_segmentation

from nnunet_sparse.campaign.import_command import main as import_campaign
from nnunet_sparse.campaign.worklist import Answers, write_worklist
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.system.paths import NnUNetPaths

pytestmark = pytest.mark.slow  # all of them together

SERIES = "series"
LABEL = label_of(s1=MASK, s4=MASK).astype(np.uint8)
MASKS = np.where(LABEL == IGNORE, 0, LABEL)

Writer = Callable[[Path, Path], object]


def volume(name: str) -> Writer:
    """Writes the label in the format of its name, with ITK."""

    def write(labels: Path, series: Path) -> None:
        ending = next(e for e in VOLUMES if name.lower().endswith(e))
        written = labels / f"b_new{ending}"
        sitk.WriteImage(image_of(series, LABEL), str(written))
        written.rename(labels / name)

    return write


def image_of(series: Path, array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(sitk.ReadImage(str(series / "volume.nii.gz")))
    return image


def stack(name: str) -> Writer:
    return lambda labels, _: tifffile.imwrite(labels / name, LABEL, compression="zlib")


def pictures(pattern: str) -> Writer:
    def write(labels: Path, _: Path) -> None:
        for i in ASKED:
            Image.fromarray(MASK).save(labels / pattern.format(i))

    return write


def slicer(name: str) -> Writer:
    def write(labels: Path, series: Path) -> None:
        image = image_of(series, MASKS)
        segments = [("organ", 1, 0), ("big_lesion", 2, 0)]
        write_segmentation(labels / name, MASKS, segments, image.GetSpacing(), image.GetOrigin())

    return write


def dicom(name: str) -> Writer:
    def write(labels: Path, series: Path) -> None:
        slices = [pydicom.dcmread(file) for file in sorted(series.glob("*.dcm"))]
        for dataset in slices:
            dataset.FrameOfReferenceUID = "1.2.9"
        write_dicom_segmentation(labels / name, slices, MASKS)

    return write


def anything(name: str) -> Writer:
    def write(labels: Path, _: Path) -> None:
        (labels / name).parent.mkdir(exist_ok=True)
        (labels / name).write_bytes(b"mask")

    return write


VOLUMES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".gipl.gz", ".gipl")
TAKEN: dict[str, Writer] = {
    **{f"b{ending}": volume(f"b{ending}") for ending in VOLUMES},
    "b.NRRD": volume("b.NRRD"),
    "b.tif": stack("b.tif"),
    "b.TIFF": stack("b.TIFF"),
    **{f"b_slice.{e}": pictures(f"b_slice{{}}.{e}") for e in ("png", "tif", "tiff", "bmp", "PNG")},
    "b.seg.nrrd": slicer("b.seg.nrrd"),
    "b.dcm": dicom("b.dcm"),
    "b/x.dcm": dicom("b/x.dcm"),
}
# they are of case b, and cannot be taken
PROBLEMS: dict[str, Writer] = {
    **{name: anything(name) for name in ("b.jpg", "b.zip", "b.mgz", "b", "b.nii.gz.bak", "b.hdr")},
    **{name: anything(name) for name in ("b.nrrd", "b.nii", "b.tif", "b.dcm")},
    "B.nii.gz": volume("B.nii.gz"),
    "b_0000.nii.gz": volume("b_0000.nii.gz"),
    "B.tif": stack("B.tif"),
    "b.png": pictures("b.png"),
    "b_Slice4.png": pictures("b_Slice{}.png"),
    "b_slice4.jpg": pictures("b_slice{}.jpg"),
    "B.seg.nrrd": slicer("B.seg.nrrd"),
    "b/Segmentation.seg.nrrd": anything("b/Segmentation.seg.nrrd"),
    "B/x.dcm": anything("B/x.dcm"),
}
# nobody knows of which case they are
STRANGERS: dict[str, Writer] = {
    "b_seg.nii.gz": volume("b_seg.nii.gz"),
    "Segmentation.seg.nrrd": slicer("Segmentation.seg.nrrd"),
    "labels.tif": stack("labels.tif"),
    "slice 4.png": pictures("slice {}.png"),
    "b final.nii.gz": volume("b final.nii.gz"),
    "reader 1/b.nii.gz": anything("reader 1/b.nii.gz"),
    "x.dcm": anything("x.dcm"),
}
STATUS, EXTEND, IMPORT = "status", "extend", "import"
# by the command and its options: whether it succeeds with what is taken, wrong, and strange
WAYS: dict[tuple[str, ...], tuple[bool, bool, bool]] = {
    (STATUS,): (True, True, True),
    (STATUS, "--confirm_empty"): (True, True, False),
    (STATUS, "--confirm_empty", "a", "c"): (True, True, True),
    (STATUS, "--confirm_empty", "b"): (True, False, True),
    (EXTEND, "--slices_per_volume", "1"): (True, False, True),
    (IMPORT,): (True, False, False),
    (IMPORT, "--partial"): (True, False, True),
    (IMPORT, "--accept_extra"): (True, False, False),
    (IMPORT, "--drop_extra"): (True, False, False),
    (IMPORT, "--confirm_empty"): (True, False, False),
    (IMPORT, "--confirm_empty", "b"): (True, False, True),
    (IMPORT, "--confirm_empty", "b:1,4"): (True, False, True),
    (IMPORT, "--confirm_empty", "--partial"): (True, False, False),
    (IMPORT, "--confirm_empty", "--accept_extra"): (True, False, False),
    (IMPORT, "--confirm_empty", "--partial", "--accept_extra"): (True, False, False),
}
CASES = [
    (kind, name, writer, way)
    for kind, files in enumerate((TAKEN, PROBLEMS, STRANGERS))
    for name, writer in files.items()
    for way in WAYS
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign, and the DICOM series of the image of ``b``."""
    folder = tmp_path_factory.mktemp("campaign")
    _, image = write_dicom_series(folder / SERIES)
    sitk.WriteImage(image, str(folder / SERIES / "volume.nii.gz"))
    other = placed(np.zeros(SHAPE), origin=(0, 0, 0.7))
    campaign = make_campaign(folder / "campaign", {"a": other, "b": image, "c": other})
    campaign = campaign.completed()
    campaign.write()
    write_worklist(campaign, Answers())
    for case_id, painted in (("a", LABEL), ("b", label_of().astype(np.uint8)), ("c", LABEL)):
        where: Any = nibabel.load(campaign.image_files(case_id)[0])
        nibabel.save(nibabel.Nifti1Image(painted.T, where.affine), campaign.label_file(case_id))
    return folder


@pytest.mark.parametrize(
    ("kind", "name", "write", "way"), CASES, ids=[f"{c[1]}, {' '.join(c[3])}" for c in CASES]
)
def test_no_annotation_is_taken_for_missing(
    template: Path,
    paths: NnUNetPaths,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: int,
    name: str,
    write: Writer,
    way: tuple[str, ...],
) -> None:
    folder = tmp_path / "campaign"
    shutil.copytree(template / "campaign", folder)
    labels = folder / "labels"
    if name == "b.nii.gz":
        (labels / name).unlink()
    write(labels, template / SERIES)
    command, *options = way
    code, output = asked(folder, command, options, capsys)
    assert code == (0 if succeeds(kind, name, way) else 2), output
    empty = [row["slice"] for row in read_rows(folder) if row["confirmed_empty"]]
    is_named = any(option.startswith("b") for option in options)
    is_told = code == 0 and is_named and kind == 2 and command == STATUS  # others are a dry run
    assert empty == (["1", "4"] if is_told else [])
    if code == 0 and command == IMPORT:
        count = 6 if kind == 0 or is_named else 4
        assert f"annotated:  {count} slices in {count // 2} volumes" in output
        assert f"({2 if kind == 2 and is_named else 0} confirmed empty" in output
    if code and way == (STATUS, "--confirm_empty"):
        assert "may be the annotation of b;" in output
        assert Path(name).parts[0].removesuffix("{}.png") in output
    assert not any(paths.raw.iterdir())


def asked(
    folder: Path, command: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    if command == IMPORT:
        code = import_campaign([str(folder), *options, "-np", "1", "--dry_run"])
    else:
        code = worklist([command, str(folder), *options, "-np", "1"])
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def succeeds(kind: int, name: str, way: tuple[str, ...]) -> bool:
    command = way[0]
    if name == "x.dcm" and command != STATUS:
        return False  # of DICOM the position says to which case it belongs
    if kind == 0 and command == EXTEND:  # in the prefilled file, or in files beside it
        return name == "b.nii.gz" or "slice" in name or name in {"b.seg.nrrd", "b.dcm", "b/x.dcm"}
    if kind == 0 and any(option.startswith("b") for option in way[1:]):
        return ":" not in way[-1]  # slices that show an object
    return WAYS[way][kind]
