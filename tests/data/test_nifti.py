from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from nnunet_sparse.data.geometry import geometry_of, read_geometry
from nnunet_sparse.data.nifti import nifti_header, write_nifti

SPACING = (0.7, 1.5, 4.0)


def image_of(direction: np.ndarray, dtype: type = np.int16) -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(60, dtype=dtype).reshape(3, 4, 5))
    image.SetSpacing(SPACING)
    image.SetOrigin((-20.5, 3.25, 100))
    image.SetDirection(direction.ravel().tolist())
    return image


def sheared(share: float) -> np.ndarray:
    """Directions of which the last leans towards the second."""
    column = np.array([0, share, 1]) / np.hypot(share, 1)
    return np.column_stack([[1.0, 0, 0], [0, 1.0, 0], column])


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.int16, np.uint8, np.float32, np.int32]))
def test_what_is_written_lies_where_the_image_does(
    tmp_path_factory: pytest.TempPathFactory, seed: int, dtype: type
) -> None:
    image = image_of(Rotation.random(random_state=seed).as_matrix(), dtype)
    file = tmp_path_factory.mktemp("n") / "a.nii"
    write_nifti(image, file)
    found = sitk.ReadImage(str(file))
    assert geometry_of(found).shift_voxels(geometry_of(image)) < 1e-4
    assert found.GetPixelID() == image.GetPixelID()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image))
    stored = nibabel.load(file)
    np.testing.assert_allclose(stored.get_qform(), stored.get_sform(), atol=1e-4)


@pytest.mark.parametrize("share", [0.1, 0.4, -2.0])
def test_shear_is_kept_in_the_form_that_can_hold_it(tmp_path: Path, share: float) -> None:
    image = image_of(sheared(share))
    geometry = geometry_of(image)
    assert geometry.is_sheared
    write_nifti(image, tmp_path / "a.nii")
    stored = nibabel.load(tmp_path / "a.nii")
    assert (int(stored.header["qform_code"]), int(stored.header["sform_code"])) == (0, 1)
    np.testing.assert_allclose(stored.header.get_zooms(), SPACING)
    found = read_geometry(tmp_path / "a.nii", "NibabelIO")
    assert found.shift_voxels(geometry) < 1e-5
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(tmp_path / "a.nii"))


def test_rounded_directions_are_no_shear(tmp_path: Path) -> None:
    turned = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix().round(3)
    assert not geometry_of(image_of(turned)).is_sheared
    write_nifti(image_of(turned), tmp_path / "a.nii")
    assert sitk.ReadImage(str(tmp_path / "a.nii")).GetSize() == (5, 4, 3)


@pytest.mark.parametrize("direction", [np.eye(3), sheared(0.4)])
def test_header_alone(tmp_path: Path, direction: np.ndarray) -> None:
    image = image_of(direction)
    write_nifti(image, tmp_path / "a.nii")
    (tmp_path / "h.nii").write_bytes(nifti_header(geometry_of(image)))
    stored, header = nibabel.load(tmp_path / "a.nii"), nibabel.load(tmp_path / "h.nii")
    assert header.shape == stored.shape
    np.testing.assert_array_equal(header.affine, stored.affine)
    assert header.header["qform_code"] == stored.header["qform_code"]
