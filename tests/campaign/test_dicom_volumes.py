"""Folders of whole patients: which series are volumes, and what is said of everything else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import (
    CT,
    DIRECTORY,
    DOSE_REPORT,
    MR,
    NUCLEAR,
    SCREENSHOT,
    SEGMENTATION,
    STRUCTURES,
    XRAY,
    dicom_object,
    picture,
    positions_along,
    save,
    write_frames,
    write_slices,
)

from nnunet_sparse.campaign.dicom_volumes import LeftOut, dicom_volumes, summary
from nnunet_sparse.data.dicom_header import dicom_files
from nnunet_sparse.system.errors import SparseError

PLANES = np.zeros((4, 5, 6), np.int16)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def localizer(folder: Path) -> None:
    for k, plane in enumerate(((1, 0, 0, 0, 1, 0), SAGITTAL, (1, 0, 0, 0, 0, -1))):
        write_slices(
            folder,
            PLANES,
            positions_along(4, 9, plane),
            orientation=plane,
            sop_class=MR,
            name=f"loc{k}_{{}}",
            SeriesInstanceUID="1.2.77",
        )


def scout(folder: Path) -> None:
    write_slices(
        folder,
        PLANES[:1],
        [[0, 0, 0]],
        name="scout",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )


def colours(folder: Path) -> None:
    for k in range(2):
        data = picture(SCREENSHOT, np.zeros((5, 18), np.uint8), SeriesInstanceUID="1.2.78")
        data.Columns, data.SamplesPerPixel, data.PlanarConfiguration = 6, 3, 0
        data.PhotometricInterpretation = "RGB"
        save(data, folder / f"colour{k}")


def mosaic(folder: Path) -> None:
    kind = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    write_slices(folder, PLANES[:1], [[0, 0, 0]], name="mosaic", ImageType=kind)


def twice(folder: Path) -> None:
    positions = np.repeat(positions_along(2, 3), 2, axis=0)
    write_slices(folder, PLANES, positions, name="time{}", sop_class=MR)


# what is no volume: its files, and how it is told
OTHERS: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "structures": (lambda f: save(dicom_object(STRUCTURES), f / "rs"), 1, "RT Structure Set"),
    "report": (lambda f: save(dicom_object(DOSE_REPORT), f / "sr"), 1, "X-Ray Radiation Dose SR"),
    "directory": (
        lambda f: save(dicom_object(DIRECTORY), f / "DICOMDIR"),
        1,
        "Media Storage Directory",
    ),
    "segmentation": (
        lambda f: save(picture(SEGMENTATION, np.zeros((3, 5, 6), np.uint8)), f / "seg"),
        1,
        "Segmentation",
    ),
    "x-ray": (
        lambda f: save(picture(XRAY, PLANES[0]), f / "cr"),
        1,
        "Computed Radiography Image: no position",
    ),
    "frames": (
        lambda f: save(picture(NUCLEAR, PLANES), f / "nm"),
        1,
        "Nuclear Medicine Image of 4 frames: no positions (dcm2niix converts some)",
    ),
    "scout": (scout, 1, "localizer"),
    "localizer": (localizer, 12, "slices in 3 directions (localizer?)"),
    "one slice": (
        lambda f: write_slices(f, PLANES[:1], [[0, 0, 0]], name="one"),
        1,
        "1 slice, not a volume",
    ),
    "colours": (colours, 2, "colours (RGB), not one value per voxel"),
    "mosaic": (mosaic, 1, "mosaic of slices; dcm2niix takes it apart"),
    "time points": (
        twice,
        4,
        "2 slices at each position (time points, echoes, a doubled series?); dcm2niix sorts them",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_volume_is_left_out(tmp_path: Path, what: str) -> None:
    add, count, reason = OTHERS[what]
    add(tmp_path)
    volumes, left_out = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert volumes == []
    assert {one.reason for one in left_out} == {reason}
    assert sum(len(one.files) for one in left_out) == count


def test_a_volume_among_all_of_them(tmp_path: Path) -> None:
    files = write_slices(tmp_path, PLANES, positions_along(4, 2), name="IM{:04d}")
    for add, _, _ in OTHERS.values():
        add(tmp_path)
    (volume,), left_out = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert (volume.source, volume.suffix) == (files[0], "")
    assert volume.files == frozenset(files)
    assert {one.reason for one in left_out} == {why for _, _, why in OTHERS.values()}


def test_objects_without_slices_leave_a_folder_its_series(tmp_path: Path) -> None:
    write_slices(tmp_path, PLANES, positions_along(4, 2))
    for what in ("structures", "report", "directory", "segmentation", "scout", "colours"):
        OTHERS[what][0](tmp_path)
    (volume,), _ = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert volume.source == tmp_path


def test_a_screenshot_in_the_series_of_a_scan(tmp_path: Path) -> None:
    files = write_slices(tmp_path, PLANES, positions_along(4, 2), SeriesInstanceUID="1.2.9")
    save(picture(SCREENSHOT, PLANES[0], SeriesInstanceUID="1.2.9"), tmp_path / "zoom.dcm")
    (volume,), (left_out,) = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert volume.files == frozenset(files)
    assert left_out.reason == "Secondary Capture Image: no position"


def test_a_page_without_position_in_a_series(tmp_path: Path) -> None:
    shared = {"SeriesInstanceUID": "1.2.9", "ImageType": ["ORIGINAL", "PRIMARY", "M"]}
    files = write_slices(tmp_path, PLANES, positions_along(4, 2), sop_class=MR, **shared)
    page = picture(MR, PLANES[0], **shared)
    page.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    save(page, tmp_path / "a page.dcm")
    (volume,), (left_out,) = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert volume.files == frozenset(files)
    assert not volume.problem
    assert left_out.reason == "no position, in a series of 4 files that have one"
    save(picture(MR, PLANES[0], **shared), tmp_path / "slice.dcm")
    (volume,), _ = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert "slice.dcm has no valid DICOM tag (0020,0032)" in volume.problem


def test_several_series_go_by_number_and_description(tmp_path: Path) -> None:
    for number, text, step in ((2, "T1 ax", 1), (3, "T2 ax", 2), (4, "", 3), (4, "", 4)):
        write_slices(
            tmp_path,
            PLANES,
            positions_along(4, step),
            name=f"{step}_{{}}",
            SeriesNumber=number,
            SeriesDescription=text,
        )
    volumes, left_out = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert [v.suffix for v in volumes] == ["2_T1 ax", "3_T2 ax", "4_3_0", "4_4_0"]
    assert [v.source.name for v in volumes] == ["1_0", "2_0", "3_0", "4_0"]
    assert left_out == []


def test_multi_frame_files_are_volumes_each(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_frames(
            tmp_path / name,
            PLANES,
            positions_along(4, 2),
            SeriesInstanceUID="1.2.9",
            SeriesNumber=7,
        )
    volumes, _ = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert [(v.suffix, v.source.name) for v in volumes] == [("a", "a"), ("b", "b")]


def test_one_image_in_several_files(tmp_path: Path) -> None:
    """A concatenation, which scanners write where a file would grow too large."""
    positions = positions_along(4, 2)
    for k in (0, 2):
        part = slice(k, k + 2)
        write_frames(tmp_path / f"{k}", PLANES[part], positions[part], ConcatenationUID="1.2.5",
                     SeriesInstanceUID="1.2.9")  # fmt: skip
    (volume,), _ = dicom_volumes(tmp_path, dicom_files(tmp_path))
    assert len(volume.files) == 2


@pytest.mark.parametrize("content", [b"", b"html", b"\0" * 200])
def test_damage_is_no_reason_to_leave_out(tmp_path: Path, content: bytes) -> None:
    write_slices(tmp_path, PLANES, positions_along(4, 2))
    (tmp_path / "x.dcm").write_bytes(content)
    with pytest.raises(SparseError, match=r"x\.dcm is damaged: it is not recognised as a DICOM"):
        dicom_volumes(tmp_path, dicom_files(tmp_path))


def test_reasons_are_told_once() -> None:
    def names(*texts: str) -> tuple[Path, ...]:
        return tuple(map(Path, texts))

    told = summary([LeftOut(names("a"), "localizer"), LeftOut(names("b", "c"), "localizer")])
    assert told == "localizer: a and 2 more"
    assert summary([LeftOut(names(x), x) for x in "abcde"]).endswith("c: c; 2 more")
    assert summary([]) == ""


def test_other_files_are_no_dicom(tmp_path: Path) -> None:
    write_slices(tmp_path, PLANES, positions_along(4, 2), name="{}", sop_class=CT)
    (tmp_path / "notes.txt").write_text("x" * 500)
    (tmp_path / "._0").write_bytes(b"\0\5\x16\7")
    (tmp_path / ".hidden.dcm").touch()
    assert [file.name for file in dicom_files(tmp_path)] == ["0", "1", "2", "3"]
