"""Each reading against the library that has it, for every pair of codes."""

from itertools import product
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nifti_forms import OTHER_PLACES, PLACE, SHAPE, save_forms

from nnunet_sparse.data.affines import RAS_TO_LPS, itk_affine, reverse_columns
from nnunet_sparse.data.nifti_readings import ITK, NIBABEL, QFORM, read_readings

VOXELS = np.zeros(SHAPE, np.uint8)


@pytest.mark.parametrize("place", OTHER_PLACES)
def test_readings_are_those_of_the_libraries(tmp_path: Path, place: str) -> None:
    for number, codes in enumerate(product((0, 1, 2, 4), repeat=2)):
        file = save_forms(tmp_path / f"{number}.nii", VOXELS, PLACE, OTHER_PLACES[place], codes)
        found = read_readings(file).affines
        image = nibabel.load(file)
        expected = {
            ITK: itk_affine(sitk.ReadImage(str(file))),
            NIBABEL: RAS_TO_LPS @ image.affine,
        }
        if codes[0]:
            expected[QFORM] = RAS_TO_LPS @ image.get_qform()
        assert found.keys() == expected.keys()
        for name, affine in expected.items():
            np.testing.assert_allclose(found[name], reverse_columns(affine))


def test_the_program_that_wrote_a_file_is_told_by_its_codes(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image(3, 4, 5, sitk.sitkUInt8), str(tmp_path / "itk.nii"))
    assert read_readings(tmp_path / "itk.nii").written_by == {ITK, QFORM}
    nibabel.save(nibabel.Nifti1Image(VOXELS, PLACE), tmp_path / "nibabel.nii")
    assert read_readings(tmp_path / "nibabel.nii").written_by == {NIBABEL}
    file = save_forms(tmp_path / "any.nii", VOXELS, PLACE, PLACE, (1, 1))
    assert read_readings(file).written_by == {NIBABEL, QFORM}
    image = nibabel.load(file)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, tmp_path / "units.nii")
    assert read_readings(tmp_path / "units.nii").written_by == {NIBABEL, QFORM}


def test_what_itk_does_not_open_has_no_reading_of_it(tmp_path: Path) -> None:
    sheared = PLACE.copy()
    sheared[0, 1] = 0.4
    nibabel.save(nibabel.Nifti1Image(VOXELS, sheared), tmp_path / "sheared.nii")
    nibabel.save(nibabel.Nifti2Image(VOXELS, PLACE), tmp_path / "two.nii")
    for name in ("sheared", "two"):
        assert read_readings(tmp_path / f"{name}.nii").affines.keys() == {NIBABEL}
