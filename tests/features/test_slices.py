import numpy as np
import pytest
from tiny import write_volume

from nnunet_sparse.data.normalised_slices import normalised
from nnunet_sparse.features.canvas import Canvas
from nnunet_sparse.features.slices import draw, read_slices
from nnunet_sparse.system.errors import SparseError


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
