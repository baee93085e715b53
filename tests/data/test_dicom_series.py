"""Series as volumes: values as pydicom reads them, places as highdicom tells them."""

import shutil
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import (
    AXIAL,
    CT,
    MR,
    NUCLEAR,
    PET,
    SEGMENTATION,
    dicom_object,
    picture,
    positions_along,
    save,
    values_of,
    write_frames,
    write_slices,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sparse.data.dicom_series import open_series, read_dicom, read_series, series_geometry
from nnunet_sparse.data.geometry import Geometry, geometry_of
from nnunet_sparse.system.errors import SparseError

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
PLANES = np.random.default_rng(0).integers(-2000, 30000, (5, 6, 4)).astype(np.int16)


def check_place(found: Geometry, volume: "highdicom.Volume") -> None:
    """Whether a geometry is that of highdicom's volume, whose slices may run the other way."""
    assert found.shape == volume.spatial_shape
    assert found.affine is not None
    other = volume.affine.copy()
    if not np.allclose(found.affine[:3, 0], other[:3, 0], atol=1e-4):
        other[:3, 3] += other[:3, 0] * (found.shape[0] - 1)
        other[:3, 0] *= -1
    np.testing.assert_allclose(found.affine, other, atol=1e-4)


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE, (-1, 0, 0, 0, -1, 0), (0, 1, 0, 1, 0, 0)])
@pytest.mark.parametrize("order", ["up", "down", "mixed"])
def test_voxels_lie_where_their_files_say(
    tmp_path: Path, orientation: tuple[float, ...], order: str
) -> None:
    positions = np.array([10.5, -20, 3]) + positions_along(5, 2.5, orientation)
    sequence = {"up": range(5), "down": range(4, -1, -1), "mixed": (3, 0, 4, 2, 1)}[order]
    positions = positions[list(sequence)]
    files = write_slices(
        tmp_path / "s", PLANES, positions, orientation=orientation, spacing_mm=(0.7, 1.3)
    )
    geometry, image = series_geometry(tmp_path / "s"), read_dicom(tmp_path / "s")
    series = [pydicom.dcmread(file) for file in files]
    check_place(geometry, highdicom.get_volume_from_series(series))
    assert geometry_of(image).shift_voxels(geometry) < 1e-6
    for file, position in zip(files, positions, strict=True):  # each plane at its position
        index = image.TransformPhysicalPointToIndex([float(mm) for mm in position])
        assert index[:2] == (0, 0)
        plane = sitk.GetArrayViewFromImage(image)[index[2]]
        np.testing.assert_array_equal(plane, pydicom.dcmread(file).pixel_array)


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 0.5, 1.7, 4.4, 30, 1e-3]), st.sampled_from([0, -1024, 3.5])
        ),
        min_size=5,
        max_size=5,
    ),
    st.sampled_from([CT, MR, PET]),
    st.sampled_from(["i1", "u1", "i2", "u2"]),
)
def test_slopes_and_intercepts_of_each_slice(
    tmp_path_factory: pytest.TempPathFactory,
    rescale: list[tuple[float, float]],
    sop_class: str,
    dtype: str,
) -> None:
    folder = tmp_path_factory.mktemp("series")
    limits = np.iinfo(dtype)
    stored = np.random.default_rng(1).integers(limits.min, limits.max, (5, 6, 4), dtype, True)
    files = write_slices(
        folder, stored, positions_along(5, 3), rescale=rescale, sop_class=sop_class
    )
    voxels = sitk.GetArrayFromImage(read_dicom(folder))
    np.testing.assert_allclose(voxels, [values_of(f) for f in files], rtol=1e-6, atol=1e-6)
    if len(set(rescale)) > 1:
        assert voxels.dtype == np.float32


@pytest.mark.parametrize("is_white_zero", [(1, 1, 1, 1, 1), (0, 1, 0, 0, 1)])
@pytest.mark.parametrize("dtype", ["u1", "i2"])
def test_white_that_is_zero_is_a_matter_of_display(
    tmp_path: Path, is_white_zero: tuple[int, ...], dtype: str
) -> None:
    stored = PLANES.astype(dtype)
    files = write_slices(tmp_path, stored, positions_along(5, 3), rescale=[(1, -1024)] * 5)
    for file, inverted in zip(files, is_white_zero, strict=True):
        data = pydicom.dcmread(file)
        data.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
        save(data, file)
    voxels = sitk.GetArrayFromImage(read_dicom(tmp_path))
    np.testing.assert_array_equal(voxels, stored.astype(int) - 1024)


def test_types_that_differ_do_not_wrap(tmp_path: Path) -> None:
    kinds = [np.array([[-5, 7]], np.int8), np.array([[300, 65535]], np.uint16)]
    for k, plane in enumerate(kinds):
        write_slices(
            tmp_path, plane[None], [[0, 0, 3 * k]], name=f"{k}.dcm", SeriesInstanceUID="1.2.9"
        )
    voxels = sitk.GetArrayFromImage(read_dicom(tmp_path))
    np.testing.assert_array_equal(voxels[:, 0], [[-5, 7], [300, 65535]])


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE])
@pytest.mark.parametrize("sequence", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 3, 1, 4)])
@pytest.mark.parametrize(
    "rescale",
    [(), [(2.0, 5.0)] * 5, [(1.0, 0.0), (1.7, -3.0), (2.0, 1.0), (40.0, 0.0), (1.0, 9.0)]],
)
def test_enhanced_files(
    tmp_path: Path, orientation: tuple[float, ...], sequence: tuple[int, ...], rescale: Any
) -> None:
    positions = positions_along(5, 2.5, orientation)[list(sequence)]
    file = write_frames(
        tmp_path / "a.dcm",
        PLANES,
        positions,
        orientation=orientation,
        spacing_mm=(0.7, 1.3),
        rescale=rescale,
    )
    image = read_dicom(tmp_path)
    check_place(
        geometry_of(image), highdicom.imread(file).get_volume(apply_real_world_transform=False)
    )
    voxels = sitk.GetArrayViewFromImage(image)
    for k, position in enumerate(positions):
        index = image.TransformPhysicalPointToIndex([float(mm) for mm in position])
        slope, intercept = rescale[k] if rescale else (1, 0)
        np.testing.assert_allclose(voxels[index[2]], PLANES[k] * slope + intercept, rtol=1e-6)
    assert series_geometry(file).shape == (5, 6, 4)


def test_converted_enhanced_files(tmp_path: Path) -> None:
    """As highdicom makes them of a series."""
    parts = write_slices(
        tmp_path / "s",
        PLANES,
        positions_along(5, 3),
        rescale=[(1, k) for k in range(5)],
        RescaleType="HU",
        **dict.fromkeys(("StudyDate", "StudyTime", "AccessionNumber", "StudyID"), ""),
        **dict.fromkeys(("PatientName", "PatientBirthDate", "PatientSex"), ""),
        **dict.fromkeys(("ReferringPhysicianName", "BodyPartExamined", "ContentTime"), ""),
        PositionReferenceIndicator="",
        AcquisitionNumber=1,
        ContentDate="20200101",
        Manufacturer="x",
        ManufacturerModelName="x",
        DeviceSerialNumber="1",
        SoftwareVersions="1",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    )
    enhanced = highdicom.legacy.LegacyConvertedEnhancedCTImage(
        [pydicom.dcmread(file) for file in parts], "1.2.9", 2, "1.2.9.1", 1
    )
    (tmp_path / "e").mkdir()
    enhanced.save_as(tmp_path / "e" / "scan.dcm")
    one, other = read_dicom(tmp_path / "s"), read_dicom(tmp_path / "e")
    assert geometry_of(one).shift_voxels(geometry_of(other)) < 1e-6
    np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))


def test_several_volumes_in_an_enhanced_file(tmp_path: Path) -> None:
    positions = positions_along(3, 2.0)[[0, 0, 1, 1, 2, 2]]
    write_frames(tmp_path / "a.dcm", np.zeros((6, 4, 5), np.int16), positions)
    message = "Enhanced MR Image of 6 frames: 2 slices at each position .*; dcm2niix sorts them"
    with pytest.raises(SparseError, match=f"is no volume: {message}"):
        series_geometry(tmp_path)


@pytest.mark.parametrize(
    ("frames", "bits", "message"),
    [
        ("-1", 16, "it claims -1 frames, not 1 to 100000"),
        ("200000000", 0, "it claims 200000000 frames"),
        ("200000000", 1, "it claims 200000000 frames"),
        ("99999", 0, "it holds 240 bytes of pixels, expected"),
    ],
)
def test_frames_that_no_file_holds(tmp_path: Path, frames: str, bits: int, message: str) -> None:
    """They are refused before a slice is made of each."""
    data = picture(NUCLEAR, np.zeros((6, 4, 5), np.int16))
    data.NumberOfFrames, data.BitsAllocated = frames, bits
    save(data, tmp_path / "a.dcm")
    with pytest.raises(SparseError, match=f"a.dcm is damaged: {message}"):
        series_geometry(tmp_path)


def test_frames_without_positions(tmp_path: Path) -> None:
    save(picture(NUCLEAR, np.zeros((6, 4, 5), np.int16)), tmp_path / "a.dcm")
    message = "Nuclear Medicine Image of 6 frames: no positions .dcm2niix converts some"
    with pytest.raises(SparseError, match=message):
        series_geometry(tmp_path)


def test_a_file_stands_for_its_series(tmp_path: Path) -> None:
    for k in (1, 2):
        write_slices(tmp_path, PLANES + k, positions_along(5, k), name=f"{k}_{{}}.dcm")
    with pytest.raises(SparseError, match="holds 2 DICOM series, expected 1"):
        open_series(tmp_path)
    for k in (1, 2):
        image = read_dicom(tmp_path / f"{k}_3.dcm")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), PLANES + k)
        assert image.GetSpacing()[2] == k


@pytest.mark.parametrize("name", ["{}.dcm", "{}"])
def test_headers_of_a_folder_of_many_series_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for k in range(6):
        write_slices(tmp_path, PLANES, positions_along(5, k + 1), name=f"{k}_{name}")
    read, look = [], pydicom.dcmread

    def dcmread(*args: Any, **options: Any) -> Any:
        read.append(options.get("stop_before_pixels", False))
        return look(*args, **options)

    monkeypatch.setattr(pydicom, "dcmread", dcmread)
    for k in range(6):
        file = tmp_path / f"{k}_{name.format(2)}"
        assert series_geometry(file).spacing_mm == (k + 1, 1, 1)
        read_dicom(file)
    assert (read.count(True), read.count(False)) == (30, 30)


def test_a_folder_that_changes(tmp_path: Path) -> None:
    for k in range(2):
        write_slices(tmp_path, PLANES, positions_along(5, k + 1), name=f"{k}_{{}}.dcm")
    assert series_geometry(tmp_path / "0_0.dcm").shape[0] == 5
    data = pydicom.dcmread(tmp_path / "0_0.dcm")
    data.ImagePositionPatient = [0, 0, 5]
    save(data, tmp_path / "0_5.dcm")
    assert series_geometry(tmp_path / "0_5.dcm").shape[0] == 6
    data.SeriesInstanceUID = "1.2.77"
    save(data, tmp_path / "0_5.dcm")
    assert len(open_series(tmp_path / "0_5.dcm").headers) == 1


@pytest.mark.parametrize("name", ["{}.dcm", "IM{:04d}"])
def test_files_without_a_preamble(tmp_path: Path, name: str) -> None:
    """As older archives hold them: the data set alone, implicit, from its first element on."""
    for file in write_slices(tmp_path, PLANES, positions_along(5, 2), name=name):
        data = pydicom.dcmread(file)
        buffer = pydicom.filebase.DicomBytesIO()
        buffer.is_implicit_VR = buffer.is_little_endian = True
        pydicom.filewriter.write_dataset(buffer, data)
        file.write_bytes(buffer.getvalue())
    image = read_dicom(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), PLANES)
    assert image.GetSpacing() == (1, 1, 2)


def test_copies_of_macos_are_passed_over(tmp_path: Path) -> None:
    for file in write_slices(tmp_path, PLANES, positions_along(5, 1)):
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7")
    assert series_geometry(tmp_path).shape == PLANES.shape


def test_damage(tmp_path: Path) -> None:
    files = write_slices(tmp_path / "s", PLANES, positions_along(5, 1))
    whole = files[2].read_bytes()
    for size in (0, 100, 200, len(whole) // 2, len(whole) - 60, len(whole) - 1):
        files[2].write_bytes(whole[:size])
        with pytest.raises(SparseError, match=r"002\.dcm is damaged"):
            series_geometry(tmp_path / "s")
    files[2].write_bytes(whole)
    raw = whole.replace(b"0.0\\0.0\\2.0", b"0.0\\x.0\\2.0")
    files[2].write_bytes(raw)
    with pytest.raises(SparseError, match=r"002\.dcm has no valid DICOM tag \(0020,0032\)"):
        series_geometry(tmp_path / "s")


def test_sizes_that_differ(tmp_path: Path) -> None:
    write_slices(tmp_path, PLANES, positions_along(5, 1), SeriesInstanceUID="1.2.9")
    write_slices(
        tmp_path, np.zeros((1, 6, 5)), [[0, 0, 5]], SeriesInstanceUID="1.2.9", name="x.dcm"
    )
    with pytest.raises(SparseError, match=r"x\.dcm has \(6, 5\) pixels, 000\.dcm \(6, 4\)"):
        series_geometry(tmp_path)


def test_no_slope(tmp_path: Path) -> None:
    rescale = [(1, 0), (1, 0), (0, 0), (1, 0), (1, 0)]
    write_slices(tmp_path, PLANES, positions_along(5, 1), rescale=rescale)
    with pytest.raises(SparseError, match="slices of RescaleSlope 0"):
        read_dicom(tmp_path)


def test_what_a_folder_says_of_its_series(tmp_path: Path) -> None:
    write_slices(tmp_path / "s", PLANES, positions_along(5, 1), SeriesDescription=" ax dyn ")
    found = read_series(tmp_path / "s")
    assert found.description == "ax dyn"
    assert found.uid == open_series(tmp_path / "s").headers[0].series_uid
    save(dicom_object(SEGMENTATION), tmp_path / "seg" / "1.dcm")
    assert (read_series(tmp_path / "seg").uid, read_series(tmp_path / "seg").description) == (
        "",
        "seg",
    )
    with pytest.raises(SparseError, match="seg holds 0 DICOM series, expected 1: Segmentation"):
        open_series(tmp_path / "seg")
    with pytest.raises(SparseError, match=r"1\.dcm is no volume: Segmentation"):
        open_series(tmp_path / "seg" / "1.dcm")
    shutil.copy(tmp_path / "seg" / "1.dcm", tmp_path / "s")
    assert len(open_series(tmp_path / "s").headers) == 5
