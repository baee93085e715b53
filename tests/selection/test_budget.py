import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.selection.budget import check_share, num_annotated_slices, num_annotated_volumes
from nnunet_sparse.system.errors import SparseError


@pytest.mark.parametrize(
    ("rho", "num_slices", "expected"),
    [(0.2, 35, 7), (0.05, 35, 2), (0.05, 9, 1), (0.05, 10, 1), (0.1, 25, 3), (1, 17, 17)],
)
def test_hand_worked_numbers(rho: float, num_slices: int, expected: int) -> None:
    assert num_annotated_slices(rho, num_slices) == expected
    assert num_annotated_volumes(rho, num_slices) == expected


@given(st.floats(0, 1, exclude_min=True), st.integers(1, 2000))
def test_between_one_and_all(rho: float, num_slices: int) -> None:
    assert 1 <= num_annotated_slices(rho, num_slices) <= num_slices


@pytest.mark.parametrize("value", [0, -0.1, 1.0001, math.nan, math.inf])
@pytest.mark.parametrize("name", ["rho", "s"])
def test_shares_out_of_range(name: str, value: float) -> None:
    with pytest.raises(SparseError, match=rf"^{name} must lie in \(0, 1\], got {value:g} "):
        check_share(name, value)
