import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.prediction.pooling import Pooling
from nnunet_sparse.system.errors import SparseError

MAP = np.array([[0, 0, 0, 0], [0, 4, 4, 0], [0, 4, 0, 0], [8, 0, 0, 0]], np.float32)


@pytest.mark.parametrize(
    ("pooling", "number"),
    [
        (Pooling(), 20 / 16),
        (Pooling("top", share=0.125), 6.0),  # of 2 of 16 voxels: 8 and 4
        (Pooling("top", share=0.001), 8.0),
        (Pooling("top", share=1), 20 / 16),
        (Pooling("patch", patch_mm=2), 3.0),  # the 2 x 2 square of 4, 4, 4, 0; others have 8 + 4
        (Pooling("patch", patch_mm=1), 8.0),
        (Pooling("patch", patch_mm=100), 20 / 16),
    ],
)
def test_numbers_worked_by_hand(pooling: Pooling, number: float) -> None:
    assert pooling.pool(MAP, (1.0, 1.0)) == pytest.approx(number)
    both = pooling.pool(np.stack([MAP, 2 * MAP]), (1.0, 1.0))
    assert both.tolist() == pytest.approx([number, 2 * number])


def test_a_patch_is_as_long_in_mm_along_both_axes() -> None:
    tall = Pooling("patch", patch_mm=2).pool(MAP, (2.0, 1.0))  # one row, two columns
    assert tall == pytest.approx(4.0)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_poolings_are_ordered(height: int, width: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((3, height, width))
    mean, top, patch = (
        Pooling(name, share=0.3, patch_mm=2).pool(values, (1, 1))
        for name in ("mean", "top", "patch")
    )
    assert (mean <= top + 1e-12).all()
    assert (patch <= values.max(axis=(1, 2)) + 1e-12).all()
    assert (top <= values.max(axis=(1, 2)) + 1e-12).all()


@pytest.mark.parametrize(
    "wrong", [{"name": "sum"}, {"share": 0}, {"share": 1.5}, {"patch_mm": 0}, {"patch_mm": np.inf}]
)
def test_impossible_ones_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SparseError, match=next(iter(wrong)).replace("name", "pooling")):
        Pooling(**wrong)
