from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from nnunet_sparse.data.geometry import (
    Geometry,
    check_axis,
    read_geometry,
    read_spacing,
    resolve_axis,
)
from nnunet_sparse.data.label_files import find_reader
from nnunet_sparse.system.errors import SparseError


def geometry(directions: list[list[float]], shape: tuple[int, ...] = (4, 5, 6)) -> Geometry:
    """Geometry whose array axes point along the given LPS directions."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(directions, dtype=float).T
    return Geometry(shape, affine)


L, P, S = [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]


def test_axial_axis_points_to_superior() -> None:
    assert geometry([S, P, L]).axis_of("axial") == 0
    assert geometry([L, S, P]).axis_of("axial") == 1
    assert geometry([P, L, [0, 0, -1.0]]).axis_of("axial") == 2


def test_planes_of_a_sagittal_acquisition() -> None:
    sagittal = geometry([L, S, P])
    assert [sagittal.axis_of(p) for p in ("sagittal", "axial", "coronal")] == [0, 1, 2]


def test_direction_counts_not_spacing() -> None:
    # axis 1 advances 5 mm, of which 3 mm upwards; axis 0 only 1 mm, all upwards
    assert geometry([[0, 0, 1], [0, 4, 3], L]).axis_of("axial") == 0


def test_formats_without_directions_are_axial_stacks() -> None:
    assert Geometry((3, 4, 5), None).axis_of("axial") == 0
    assert Geometry((3, 4, 5), None).axis_of("sagittal") == 2


def test_shift_is_measured_at_the_far_corner() -> None:
    one, other = geometry([S, P, L], (11, 5, 6)), geometry([[0, 0, 1.1], P, L], (11, 5, 6))
    assert one.shift_voxels(other) == pytest.approx(1.0)  # 10 steps of 0.1 mm, spacing 1 mm


def test_reading_agrees_between_itk_and_nibabel(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.zeros((4, 5, 6), np.uint8))
    image.SetSpacing((0.5, 2.0, 3.0))
    image.SetDirection((0, -1, 0, 0.6, 0, 0.8, -0.8, 0, 0.6))
    image.SetOrigin((1, 2, 3))
    file = tmp_path / "a.nii.gz"
    sitk.WriteImage(image, str(file))
    itk, nib = read_geometry(file, "SimpleITKIO"), read_geometry(file, "NibabelIO")
    assert itk.shape == nib.shape == (4, 5, 6)
    np.testing.assert_allclose(itk.affine, nib.affine, atol=1e-5)
    far_corner = image.TransformIndexToPhysicalPoint((5, 4, 3))
    np.testing.assert_allclose(itk.affine @ [3, 4, 5, 1], [*far_corner, 1], atol=1e-5)


def test_reoriented_arrays_are_always_axial_stacks(tmp_path: Path) -> None:
    affine = np.array([[0, 0, 3.0, 0], [2.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    file = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), affine), file)
    plain = read_geometry(file, "NibabelIO")
    assert (plain.shape, plain.axis_of("axial")) == ((6, 5, 4), 1)
    for reader in ("NibabelIOWithReorient", "SimpleITKIOWithReorient"):
        reoriented = read_geometry(file, reader)
        array, _ = find_reader(reader)().read_seg(str(file))
        assert (reoriented.shape, reoriented.axis_of("axial")) == (array.shape[1:], 0)
        assert reoriented.shape == (5, 4, 6)


def test_unknown_readers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SparseError, match="reader OtherIO"):
        read_geometry(tmp_path / "a.xyz", "OtherIO")


def test_resolve_axis() -> None:
    cases = {"a": geometry([S, P, L]), "b": geometry([L, S, P])}
    assert resolve_axis("2", cases) == 2
    assert resolve_axis("coronal", {"a": cases["a"]}) == 1
    with pytest.raises(SparseError, match=r"axis 0 in a, axis 1 in b.*--axis"):
        resolve_axis("auto", cases)


@pytest.mark.parametrize("shape", [(5, 6), (5,)])
def test_2d_images_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    file = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), file)
    for reader in ("SimpleITKIO", "NibabelIO"):
        with pytest.raises(SparseError, match=r"a\.nii\.gz"):
            read_geometry(file, reader)


def test_error_of_a_damaged_file_is_one_line_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a.nii.gz"
    file.write_bytes(b"no image")
    with pytest.raises(SparseError, match=r"^[^\n]*a\.nii\.gz[^\n]*$"):
        read_geometry(file, "SimpleITKIO")


def test_channels_in_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 2), np.uint8), np.eye(4)), file)
    for reader in ("SimpleITKIO", "NibabelIO"):
        geometry = read_geometry(file, reader)
        assert (geometry.shape, geometry.num_channels) == ((6, 5, 4), 2)


def test_unknown_axes_are_refused() -> None:
    for axis in ("auto", "0", "sagittal"):
        check_axis(axis)
    with pytest.raises(SparseError, match="unknown axis '3', choose from auto, 0, 1, 2, axial"):
        check_axis("3")


def test_tiff_images_have_their_spacing_beside_them(tmp_path: Path) -> None:
    image, beside = tmp_path / "a_0000.tif", tmp_path / "a.json"
    tifffile.imwrite(image, np.zeros((2, 3, 4), np.uint8))
    assert read_spacing(image, "Tiff3DIO") == (1, 1, 1)
    beside.write_text('{"spacing": [3, 1, 2]}')
    assert read_spacing(image, "Tiff3DIO") == (3, 1, 2)
    beside.write_text('{"spacing": [3, 1]}')
    with pytest.raises(SparseError, match=r'a\.json must name the "spacing" along three axes'):
        read_spacing(image, "Tiff3DIO")
