from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nifti_forms import IN_ORDER, OTHER_PLACES, PLACE, REORDERING, SHAPE, save_forms, save_label

from nnunet_sparse.data.itk_volumes import in_order_of, to_label
from nnunet_sparse.system.errors import SparseError

FILE = Path("mask.nii")


def label(*values: float, dtype: type = np.float32) -> sitk.Image:
    return sitk.GetImageFromArray(np.array([[values]], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_up_to_rounding_are_whole(dtype: type) -> None:
    below, above = np.nextafter(np.float32(1), [np.float32(0), np.float32(2)])
    found = to_label(label(0, below, above, 2, dtype=dtype), FILE, frozenset({0, 1, 2}))
    assert found.GetPixelID() == sitk.sitkUInt8
    assert sitk.GetArrayFromImage(found).tolist() == [[[0, 1, 1, 2]]]


@pytest.mark.parametrize(
    ("value", "text"), [(0.9999, "0.9999"), (1.00001, "1.00001"), (3.0, "3"), (-1.0, "-1")]
)
def test_others_are_named_with_all_digits(value: float, text: str) -> None:
    with pytest.raises(SparseError, match=rf"holds the label value {text}; expected 0, 1, 2"):
        to_label(label(0, value), FILE, frozenset({0, 1, 2}))


@pytest.mark.parametrize("kind", sorted(OTHER_PLACES))
def test_labels_are_brought_into_the_order_of_the_image(tmp_path: Path, kind: str) -> None:
    voxels = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
    image = save_forms(tmp_path / "i.nii", voxels, PLACE, OTHER_PLACES[kind], (1, 2))
    for name, make in (IN_ORDER | REORDERING).items():
        file = save_label(tmp_path / "l.nii", make(image, voxels))
        stored = [sitk.ReadImage(str(path)) for path in (file, image)]
        try:
            found = in_order_of(stored[0], file, stored[1], image)
        except SparseError:
            assert name in REORDERING
        else:
            assert found is not None
            np.testing.assert_array_equal(sitk.GetArrayFromImage(found), voxels.T)


def test_a_label_elsewhere_is_not_brought(tmp_path: Path) -> None:
    voxels = np.zeros(SHAPE, np.uint8)
    image = save_forms(tmp_path / "i.nii", voxels, PLACE, PLACE, (1, 1))
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "l.nii")
    stored = [sitk.ReadImage(str(path)) for path in (tmp_path / "l.nii", image)]
    assert in_order_of(stored[0], tmp_path / "l.nii", stored[1], image) is None
