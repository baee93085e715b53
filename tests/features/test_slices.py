import numpy as np
import pytest
from tiny import write_volume

from nnunet_sparse.features.canvas import Canvas
from nnunet_sparse.features.slices import draw, normalised, read_slices
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


def test_slices_stand_in_the_middle_in_their_proportions():
    slices = np.ones((2, 1, 10, 5), np.float32)
    drawn = draw(slices, (1.0, 2.0), Canvas(1.0, 16, 12, 4))  # 10 mm x 10 mm
    rows, columns = np.nonzero(drawn[0, 0] > 0.5)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (3, 13, 1, 11)
    assert (drawn.shape, drawn.dtype) == ((2, 1, 16, 12), np.float16)


def test_what_does_not_fit_is_shrunk():
    drawn = draw(np.ones((1, 1, 40, 20), np.float32), (1.0, 1.0), Canvas(1.0, 16, 12, 4))
    rows, columns = np.nonzero(drawn[0, 0] > 0.5)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (16, 8)


def test_slices_of_a_file_along_any_axis(tmp_path):
    image = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32)
    file = tmp_path / "a_0000.nii.gz"
    write_volume(file, image, (1.0, 1.0, 1.0))
    expected = normalised(image)
    for axis, shape in enumerate([(6, 8), (4, 8), (4, 6)]):
        found = read_slices((file, file), "SimpleITKIO", axis, Canvas(1.0, *shape, 2))
        assert found.shape == (image.shape[axis], 2, *shape)
        np.testing.assert_allclose(found[1, 1], np.take(expected, 1, axis), atol=2e-3)
    with pytest.raises(SparseError, match=r"none\.nii\.gz"):
        read_slices((tmp_path / "none.nii.gz",), "SimpleITKIO", 0, Canvas(1.0, 4, 4, 2))
