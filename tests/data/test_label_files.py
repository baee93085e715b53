import gzip
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from tiny import OBLIQUE, write_volume

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.label_files import (
    TIFF_READER,
    check_complete,
    find_reader,
    is_stored_whole,
    label_dtype,
    label_spacing_file,
    place_label,
    read_label,
    spacing_file,
    whole_numbers,
    write_label_like,
)
from nnunet_sparse.system.errors import SparseError

LABEL = np.arange(4 * 5 * 6).reshape(4, 5, 6) % 4
GEOMETRY_FIELDS = ["dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b"]
GEOMETRY_FIELDS += ["quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]
GEOMETRY_FIELDS += ["srow_x", "srow_y", "srow_z"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_reads_what_nnunet_reads_as_integers(tmp_path: Path, dtype: Any) -> None:
    file = tmp_path / "a.nii.gz"
    write_volume(file, LABEL.astype(dtype))
    label = read_label(file, "SimpleITKIO")
    assert label.dtype.kind in "iu"
    np.testing.assert_array_equal(label, find_reader("SimpleITKIO")().read_seg(str(file))[0][0])


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_keeps_the_exact_geometry(tmp_path: Path, ending: str) -> None:
    template, file = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    spacing, origin = (0.7, 1 / 3, 2.123456789), (-101.23456, 1e-3, 77.7)
    write_volume(template, LABEL.astype(np.uint8), spacing, OBLIQUE, origin)
    write_label_like(file, LABEL[::-1].astype(np.uint8), template, "SimpleITKIO")
    one, other = sitk.ReadImage(str(template)), sitk.ReadImage(str(file))
    assert one.GetSpacing() == other.GetSpacing()
    assert one.GetOrigin() == other.GetOrigin()
    assert one.GetDirection() == other.GetDirection()
    np.testing.assert_array_equal(read_label(file, "SimpleITKIO"), LABEL[::-1])


def test_keeps_the_bytes_of_a_nifti_header(tmp_path: Path) -> None:
    affine = np.array([[0.1, 0.7, 0, 5], [-0.7, 0.1, 0.02, 6], [0, 0.01, 3, 7], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(LABEL.T.astype(np.float32), affine)
    image.header.set_sform(affine, code=4)
    image.header.set_qform(np.diag([1, 2, 3, 1.0]), code=1)
    template, file = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    nibabel.save(image, template)
    write_label_like(file, LABEL.astype(np.uint8), template, "NibabelIO")
    one: Any = nibabel.load(template)
    other: Any = nibabel.load(file)
    for name in GEOMETRY_FIELDS:
        assert one.header[name].tobytes() == other.header[name].tobytes(), name


def test_reorienting_reader_round_trip(tmp_path: Path) -> None:
    affine = np.array([[0, 0, -3.0, 9], [2.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    template, file = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    nibabel.save(nibabel.Nifti1Image(LABEL.T.astype(np.uint8), affine), template)
    label = read_label(template, "NibabelIOWithReorient")
    write_label_like(file, label, template, "NibabelIOWithReorient")
    np.testing.assert_array_equal(read_label(file, "NibabelIO"), LABEL)
    copy: Any = nibabel.load(file)
    np.testing.assert_array_equal(copy.affine, affine)


def test_same_bytes_every_time(tmp_path: Path) -> None:
    template = tmp_path / "a.nii.gz"
    write_volume(template, LABEL.astype(np.uint8))
    files = [tmp_path / "1" / "b.nii.gz", tmp_path / "2" / "c.nii.gz"]
    for file in files:
        file.parent.mkdir()
        write_label_like(file, LABEL.astype(np.uint8), template, "SimpleITKIO")
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_fractions_are_refused_with_their_value(tmp_path: Path, value: float) -> None:
    label = LABEL.astype(np.float32)
    label[1, 2, 3] = value
    write_volume(tmp_path / "a.nii.gz", label)
    with pytest.raises(SparseError, match=rf"a\.nii\.gz.*{value}"):
        read_label(tmp_path / "a.nii.gz", "SimpleITKIO")


def test_scaled_integers_are_read_as_nnunet_reads_them(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image((LABEL.T * 10).astype(np.int16), np.eye(4))
    image.header.set_slope_inter(0.1, 0)
    nibabel.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii.gz", "SimpleITKIO"), LABEL)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6), st.integers(1, 60))
def test_factors_of_headers_cost_no_label(values: list[int], number: int) -> None:
    slope = np.float32(1 / number)  # as a header holds it
    stored = (np.array(values) * number).astype(np.int32)
    for scaled in (stored * slope, stored.astype(np.float32) * slope):
        whole, wrong = whole_numbers(scaled)
        assert not wrong.any()
        assert whole.tolist() == values


@pytest.mark.parametrize("value", [0.9999, 1.0001, 0.5, np.nan, -np.inf])
def test_fractions_are_no_whole_numbers(value: float) -> None:
    assert whole_numbers(np.array([0, value, 3]))[1].tolist() == [False, True, False]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd", ".gipl", ".tif"])
def test_what_nnunet_would_cut_off_is_told(tmp_path: Path, ending: str) -> None:
    reader = "Tiff3DIO" if ending == ".tif" else "SimpleITKIO"
    label = LABEL.astype(np.float32)
    whole, below, placed = (tmp_path / f"{name}{ending}" for name in ("whole", "below", "placed"))
    write_volume(whole, label)
    label[label == 1] = np.nextafter(np.float32(1), np.float32(0))
    write_volume(below, label)
    assert is_stored_whole(whole, reader)
    assert not is_stored_whole(below, reader)
    np.testing.assert_array_equal(read_label(below, reader), LABEL)
    place_label(placed, read_label(below, reader), below, reader, tmp_path)
    np.testing.assert_array_equal(find_reader(reader)().read_seg(str(placed))[0][0], LABEL)


RGB, RGBA = ([(channel, "u1") for channel in names] for names in ("RGB", "RGBA"))
NO_NUMBERS = {
    "RGB": np.zeros((6, 5, 4), RGB),
    "RGBA": np.zeros((6, 5, 4), RGBA),
    "complex": np.zeros((6, 5, 4), np.complex64),
    "vectors": np.zeros((6, 5, 4, 1, 3), np.float32),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("reader", ["SimpleITKIO", "NibabelIO", "NibabelIOWithReorient"])
def test_what_is_not_one_number_per_voxel_is_refused(
    tmp_path: Path, kind: str, reader: str
) -> None:
    file = tmp_path / "a.nii.gz"
    image = nibabel.Nifti1Image(NO_NUMBERS[kind], np.eye(4))
    if kind == "vectors":
        image.header.set_intent("vector")
    nibabel.save(image, file)
    with pytest.raises(SparseError, match=r"a\.nii\.gz (holds \w+|has shape .*several values)"):
        check_complete(file)
    for read in (read_label, lambda path, reader: read_image((path,), reader)):
        with pytest.raises(SparseError, match=r"^[^\n]*a\.nii\.gz[^\n]*$"):
            read(file, reader)


def test_trailing_axes_of_length_one_are_kept_in_the_file(tmp_path: Path) -> None:
    template, file = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    nibabel.save(nibabel.Nifti1Image(LABEL.T[..., None].astype(np.uint8), np.eye(4)), template)
    label = read_label(template, "SimpleITKIO")
    np.testing.assert_array_equal(label, LABEL)
    write_label_like(file, label, template, "SimpleITKIO")
    copy: Any = nibabel.load(file)
    assert copy.shape == (6, 5, 4, 1)


def test_several_volumes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 2), np.uint8), np.eye(4)), file)
    with pytest.raises(SparseError, match="one label volume"):
        read_label(file, "SimpleITKIO")


def test_label_dtype() -> None:
    assert label_dtype(np.dtype(np.uint8), 255) == np.uint8
    assert label_dtype(np.dtype(np.uint8), 256) == np.uint16
    assert label_dtype(np.dtype(np.int8), 128) == np.uint8
    assert label_dtype(np.dtype(np.int32), 3) == np.int32


def test_check_complete_finds_truncation_without_reading(tmp_path: Path) -> None:
    file = tmp_path / "a.nii.gz"
    write_volume(file, np.random.default_rng(0).normal(size=(20, 30, 40)).astype(np.float32))
    check_complete(file)
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(SparseError, match=r"a\.nii\.gz"):
        check_complete(file)


def test_check_complete_accepts_several_gzip_members(tmp_path: Path) -> None:
    file = tmp_path / "a.nii.gz"
    write_volume(file, LABEL.astype(np.uint8))
    content = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    check_complete(file)


@pytest.mark.parametrize("content", [b"", b"not an image at all" * 40])
def test_check_complete_refuses_other_files(tmp_path: Path, content: bytes) -> None:
    for ending in (".nii.gz", ".nii"):
        file = tmp_path / f"a{ending}"
        file.write_bytes(content)
        with pytest.raises(SparseError, match=f"a{ending}"):
            check_complete(file)


def test_spacing_files_of_tiffs() -> None:
    assert spacing_file(Path("x/case.1.tif")).name == "case.1.json"
    assert spacing_file(Path("x/case_0000.tif")).name == "case.json"


@pytest.mark.parametrize("name", ["case", "case_0001", "case.1"])
def test_labels_keep_their_spacing_where_nnunet_looks(tmp_path: Path, name: str) -> None:
    template, label = tmp_path / f"{name}.tif", tmp_path / "new" / f"{name}.tif"
    label.parent.mkdir()
    tifffile.imwrite(template, np.zeros((2, 3, 4), np.uint8))
    template.with_name(f"{name}.json").write_text('{"spacing": [3, 1, 1]}')
    write_label_like(label, np.ones((2, 3, 4), np.uint8), template, TIFF_READER)
    assert json.loads(label_spacing_file(label).read_text())["spacing"] == [3, 1, 1]
