import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.planners.small_planner import small_patch


@pytest.mark.parametrize(
    ("median_shape", "patch"),
    [
        ((36, 50, 35), [36, 50, 35]),
        ((160, 160), [128, 128]),
        ((512, 128), [160, 64]),
        ((90, 90, 90), [45, 45, 45]),
        ((20, 320, 320), [8, 80, 80]),
        ((5, 320, 320), [5, 80, 80]),
    ],
)
def test_small_patch(median_shape, patch):
    assert small_patch(median_shape) == patch


@given(st.lists(st.floats(1, 2000), min_size=2, max_size=3))
def test_patch_is_never_larger_than_the_image(median_shape):
    patch = small_patch(median_shape)
    assert all(1 <= p <= round(m) for p, m in zip(patch, median_shape, strict=True))
    assert math.prod(patch) <= 80 * 80 * 80
