import numpy as np
import pytest
from tiny import write_volume

from nnunet_sparse.data.normalised_slices import normalised, read_normalised_slices
from nnunet_sparse.system.errors import SparseError


def test_scale_and_offset_do_not_matter():
    volume = np.random.default_rng(0).normal(size=(6, 20, 20)).astype(np.float32)
    found = normalised(volume)
    np.testing.assert_allclose(normalised(volume * 300 - 1000), found, atol=1e-3)
    np.testing.assert_allclose(normalised(volume * 1e-9), found, atol=1e-3)
    assert abs(float(found.mean())) < 1e-3
    assert float(found.std()) == pytest.approx(1, abs=1e-3)


def test_a_few_bright_voxels_do_not_set_the_scale():
    volume = np.random.default_rng(0).random((10, 20, 20)).astype(np.float32)
    spoilt = volume.copy()
    spoilt[0, 0, :10] = 1e6
    assert np.abs(normalised(spoilt)[1:] - normalised(volume)[1:]).max() < 0.1


def test_an_empty_background_does_not_set_the_scale():
    rng = np.random.default_rng(0)
    inside = (100 + rng.normal(size=(4, 10, 10))).astype(np.float32)
    padded = np.zeros((4, 40, 40), np.float32)
    padded[:, 15:25, 15:25] = inside
    found = normalised(padded)[:, 15:25, 15:25]
    # clipped at the ends of the histogram of what is not zero
    assert np.unique(found).size > 100


@pytest.mark.parametrize("value", [0, 7, -1024, np.nan, 3e38])
def test_constant_volumes_are_zero(value):
    assert (normalised(np.full((2, 3, 3), value, np.float32)) == 0).all()


def test_values_that_are_no_numbers():
    volume = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    volume[0, 0, :3] = np.nan, np.inf, -np.inf
    assert np.isfinite(normalised(volume)).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_of_a_file_along_any_axis(tmp_path, axis):
    image = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32)
    files = (tmp_path / "a_0000.nii.gz", tmp_path / "a_0001.nii.gz")
    for file, channel in zip(files, (image, image**2), strict=True):
        write_volume(file, channel, (1.0, 2.0, 3.0))
    found = read_normalised_slices(files, "SimpleITKIO", axis)
    for number, channel in enumerate((image, image**2)):
        expected = np.moveaxis(normalised(channel), axis, 0)
        np.testing.assert_array_equal(found.slices[:, number], expected)
    # along z, y and x
    in_plane = [(3.0, 2.0, 1.0)[other] for other in range(3) if other != axis]
    assert found.spacing_mm == pytest.approx(((3.0, 2.0, 1.0)[axis], *in_plane))


def test_values_that_are_no_numbers_are_clipped_or_refused(tmp_path):
    image = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32)
    image[1, 2, 3] = np.inf
    file = tmp_path / "a_0000.nii.gz"
    write_volume(file, image)
    assert np.isfinite(read_normalised_slices((file,), "NibabelIO", 0).slices).all()
    with pytest.raises(SparseError, match=r"a_0000\.nii\.gz holds values that are no finite"):
        read_normalised_slices((file,), "NibabelIO", 0, must_be_finite=True)
