import numpy as np
import pytest

from nnunet_sparse.phantoms import make_case
from nnunet_sparse.phantoms.thick_slices import thick_slices
from nnunet_sparse.system.errors import SparseError


def test_worked_by_hand() -> None:
    image = np.array([0, 1, 5, 6, 9, 9], np.int16).reshape(6, 1, 1)
    label = np.array([0, 2, 1, 1, 2, 0], np.uint8).reshape(6, 1, 1)
    thick, joined = thick_slices(image, label, 3)
    assert thick.ravel().tolist() == [0, 6, 9]  # 0.5 and 5.5 to the even number
    assert joined.ravel().tolist() == [0, 1, 0]
    assert (thick.dtype, joined.dtype) == (np.dtype(np.int16), np.dtype(np.uint8))
    thick, joined = thick_slices(image, label, 2)
    assert thick.ravel().tolist() == [2, 8]
    assert joined.ravel().tolist() == [0, 0]  # of 0, 2, 1 the smallest; of 1, 2, 0 too


def test_the_same_subject_in_fewer_slices() -> None:
    fine = make_case("organ", 0, 2, (64, 48, 48), (4.0, 5.0, 5.0))
    for num_slices in (8, 16, 32):
        case = make_case(
            "organ", 0, 2, (num_slices, 48, 48), (256 / num_slices, 5.0, 5.0), drawn_slices=64
        )
        factor = 64 // num_slices
        np.testing.assert_allclose(
            case.image, fine.image.reshape(num_slices, factor, 48, 48).mean(axis=1), atol=0.5
        )
        assert case.spacing_mm == (256 / num_slices, 5.0, 5.0)
        assert case.label.mean() == pytest.approx(fine.label.mean(), rel=0.1)
    same = make_case("organ", 0, 2, (64, 48, 48), (4.0, 5.0, 5.0), drawn_slices=64)
    np.testing.assert_array_equal(same.image, fine.image)


@pytest.mark.parametrize("drawn_slices", [0, 8, 24, -16])
def test_slices_that_cannot_be_joined(drawn_slices: int) -> None:
    with pytest.raises(SparseError, match="multiple of the 16 slices of the shape, got"):
        make_case("organ", 0, 0, (16, 32, 32), drawn_slices=drawn_slices)
    with pytest.raises(SparseError, match=r"\(512 cubed\), got 16000000 x"):
        make_case("organ", 0, 0, (16, 32, 32), drawn_slices=16_000_000)
