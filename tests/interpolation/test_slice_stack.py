import numpy as np
import pytest
from tiny import write_volume

from nnunet_sparse.interpolation.slice_stack import read_slice_stack
from nnunet_sparse.system.errors import SparseError


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_keep_their_pixels(tmp_path, axis):
    volume = np.random.default_rng(0).normal(100, 20, (4, 6, 5)).astype(np.float32)
    files = (tmp_path / "a_0000.nii.gz", tmp_path / "a_0001.nii.gz")
    for file, channel in zip(files, (volume, 3 * volume), strict=True):
        write_volume(file, channel)
    slices = read_slice_stack(files, "SimpleITKIO", axis).slices
    assert slices.shape == (volume.shape[axis], 2, *np.delete(volume.shape, axis))
    expected = np.moveaxis((volume - volume.mean()) / volume.std(), axis, 0)
    inner = np.abs(expected) < 1.5  # the ends are clipped
    for channel in (0, 1):
        np.testing.assert_allclose(slices[:, channel][inner], expected[inner], atol=0.05)


@pytest.mark.parametrize(
    ("axis", "spacing", "expected"),
    [
        (0, (2.0, 4.0, 8.0), (2, 4)),
        (2, (2.0, 4.0, 5.0), (0.4, 0.5)),
        (0, (1.0, 1.0, 99.0), (10, 10)),
        (1, (9.0, 1.0, 0.5), (2, 1 / 3)),
    ],
)
def test_aspect(tmp_path, axis, spacing, expected):
    # spacing of the file along x, y and z
    write_volume(tmp_path / "a.nii.gz", np.zeros((4, 6, 5), np.float32), spacing)
    volume = read_slice_stack((tmp_path / "a.nii.gz",), "SimpleITKIO", axis)
    assert volume.aspect == pytest.approx(expected, rel=1e-4)


def test_values_that_are_no_numbers_are_refused(tmp_path):
    volume = np.zeros((4, 6, 5), np.float32)
    volume[1, 2, 3] = np.nan
    write_volume(tmp_path / "case_7_0000.nii.gz", volume)
    with pytest.raises(SparseError, match=r"case_7_0000\.nii\.gz holds values that are no finite"):
        read_slice_stack((tmp_path / "case_7_0000.nii.gz",), "NibabelIO", 0)
