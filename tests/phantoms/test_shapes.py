import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.phantoms.shapes import (
    VoxelGrid,
    blob,
    branching_curve,
    ellipsoid,
    random_voxel,
    smooth_field,
    stamp,
    warp,
)

GRID = VoxelGrid((9, 11, 11), (1.0, 1.0, 1.0))


def test_points_span_the_field_of_view():
    z, y, x = VoxelGrid((3, 5, 2), (1.0, 1.0, 1.0)).points
    assert z.ravel().tolist() == [-1, 0, 1]
    assert y.ravel().tolist() == [-1, -0.5, 0, 0.5, 1]
    assert x.shape == (1, 1, 2)


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "expected"),
    [
        ((10, 10, 10), (1, 1, 1), 1.0),
        ((48, 96, 96), (5, 3.75, 3.75), 1.5),  # 240 mm high, 360 mm wide
        ((10, 100, 100), (1, 1, 1), 2.0),  # limited
    ],
)
def test_stretch_makes_balls_round_in_mm(shape, spacing_mm, expected):
    assert VoxelGrid(shape, spacing_mm).stretch == pytest.approx(expected)


def test_ellipsoid_is_one_at_its_centre_and_zero_on_its_surface():
    shape = ellipsoid(GRID.points, (0, 0, 0), (0.5, 1.0, 0.4))
    assert shape[4, 5, 5] == 1
    assert shape[4, 0, 5] == 0  # y = -1
    assert shape[2, 5, 5] == 0  # z = -0.5
    assert shape[4, 5, 7] == pytest.approx(0, abs=1e-6)  # x = 0.4
    assert shape[0, 0, 0] < 0


def test_a_quarter_turn_swaps_the_radii():
    turned = ellipsoid(GRID.points, (0, 0, 0), (1, 0.3, 0.9), np.pi / 2)
    np.testing.assert_allclose(turned, ellipsoid(GRID.points, (0, 0, 0), (1, 0.9, 0.3)), atol=1e-5)


@given(
    shape=st.tuples(*[st.integers(6, 20)] * 3),
    cells=st.tuples(*[st.floats(1, 12)] * 3),
    seed=st.integers(0, 9),
)
def test_smooth_field_is_standardised_for_any_shape(shape, cells, seed):
    field = smooth_field(np.random.default_rng(seed), shape, cells)
    assert field.shape == shape
    assert field.mean() == pytest.approx(0, abs=1e-3)
    assert field.std() == pytest.approx(1, abs=1e-3)


def test_fewer_cells_make_a_smoother_field():
    def roughness(cells):
        field = smooth_field(np.random.default_rng(0), (40, 40), cells)
        return np.abs(np.diff(field, axis=0)).mean()

    assert roughness((2, 2)) < 0.5 * roughness((10, 10))


def test_smooth_field_keeps_the_order_of_axes():
    field = smooth_field(np.random.default_rng(0), (40, 40), (20, 1))
    assert np.abs(np.diff(field, axis=0)).mean() > 2 * np.abs(np.diff(field, axis=1)).mean()


def test_warp_of_amplitude_zero_changes_nothing():
    for warped, point in zip(
        warp(GRID, np.random.default_rng(0), 0, (2, 2, 2)), GRID.points, strict=True
    ):
        np.testing.assert_array_equal(warped, np.broadcast_to(point, GRID.shape))


def test_random_voxel_lies_in_the_mask():
    mask = np.zeros((3, 4, 5), dtype=bool)
    assert random_voxel(np.random.default_rng(0), mask) is None
    mask[1, 2, 3] = True
    assert random_voxel(np.random.default_rng(0), mask) == (1, 2, 3)


def test_the_smallest_blob_still_has_voxels():
    shape = blob(GRID, np.random.default_rng(0), (4, 5, 5), 1e-6, 0.0)
    assert shape[4, 5, 5] > 0
    assert 1 < (shape > 0).sum() < 30


def test_branches_start_where_their_parents_end():
    branches = branching_curve(
        np.random.default_rng(0), np.zeros(3), np.array([0, 2.0, 0]),
        length=0.5, generations=3, spread=0.0,
    )  # fmt: skip
    stem, generation = branches[0]
    assert generation == 0
    np.testing.assert_allclose(stem[0], [0, 0, 0])
    np.testing.assert_allclose(stem[-1], [0, 0.5, 0])  # straight without spread
    children = [points for points, number in branches if number == 1]
    assert 2 <= len(children) <= 3
    for points in children:
        np.testing.assert_allclose(points[0], stem[-1])


@pytest.mark.parametrize(("thickness", "voxels"), [(1.0, 1), (2.0, 7), (3.0, 19)])
def test_stamp_sets_a_ball(thickness, voxels):
    mask = np.zeros((9, 9, 9), dtype=bool)
    stamp(mask, np.zeros((1, 3)), thickness)
    assert mask[4, 4, 4]
    assert mask.sum() == voxels


def test_stamp_stays_in_the_region_and_in_the_array():
    mask = np.zeros((9, 9, 9), dtype=bool)
    region = np.zeros_like(mask)
    region[0, 0] = True
    stamp(mask, np.array([[-1.0, -1.0, -1.0], [5.0, 0.0, 0.0]]), 2.0, region)
    assert np.argwhere(mask).tolist() == [[0, 0, 0], [0, 0, 1]]
