import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.experiment_planning.experiment_planners.network_topology import (
    get_pool_and_conv_props,
)

from nnunet_sparse.planners.patch_limit import largest_patch


def padded(spacing, size):
    return [int(side) for side in get_pool_and_conv_props(spacing, size, 4, 999999)[3]]


@pytest.mark.parametrize(
    ("spacing", "limit", "patch"),
    [
        ((1, 1, 1), (36, 50, 35), [32, 48, 32]),  # pooled three times, multiples of 8
        ((1, 1, 1), (36.5, 50, 35.5), [32, 48, 32]),
        ((1, 1), (128, 96), [128, 96]),  # divides already
        ((1, 1), (255, 256), [224, 256]),  # 225 to 255 are pooled six times and become 256
        ((1, 1), (31, 31), [28, 28]),  # 29 to 31 become 32
        ((5, 1, 1), (7, 64, 64), [7, 64, 64]),  # fewer than 8 voxels are not pooled
        ((1, 1), (1, 7), [1, 7]),
    ],
)
def test_largest_patch(spacing, limit, patch):
    assert largest_patch(spacing, limit, limit) == patch


def test_a_wanted_size_below_the_image():
    # 60 becomes 64 as with nnU-Net, since that fits
    assert largest_patch((1, 1), (60, 300), (300, 300)) == [64, 288]


sides = st.floats(1, 600)


@given(st.lists(st.tuples(st.floats(0.3, 8), sides, sides), min_size=2, max_size=3))
def test_fits_and_is_left_as_it_is(axes):
    spacing, size, limit = zip(*axes, strict=True)
    patch = largest_patch(spacing, size, limit)
    assert all(1 <= p <= m for p, m in zip(patch, limit, strict=True))
    assert padded(spacing, patch) == patch


@given(sides)
def test_no_larger_one_fits(side):
    patch = largest_patch((1, 1), (side, side), (side, side))[0]
    larger = range(patch + 1, int(side) + 1)
    assert all(padded((1, 1), [n, n])[0] > side for n in larger)
