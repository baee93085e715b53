import numpy as np
import pytest

from nnunet_sparse.phantoms import PHANTOM_TASKS, make_case
from nnunet_sparse.phantoms.shapes import VoxelGrid
from nnunet_sparse.phantoms.variation import draw_variation
from nnunet_sparse.system.errors import SparseError

SHAPE = (24, 48, 48)


def test_without_strength_nothing_differs() -> None:
    plain = draw_variation(np.random.default_rng(0), 0.0)
    grid = plain.grid(SHAPE, (5.0, 3.75, 3.75))
    assert grid == VoxelGrid(SHAPE, (5.0, 3.75, 3.75))
    image = np.arange(1000, dtype=np.int16).reshape(10, 10, 10)
    np.testing.assert_array_equal(plain.changed(image, is_ct=False), image)
    np.testing.assert_array_equal(plain.changed(image, is_ct=True), image)


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_what_differs_grows_with_the_strength_and_is_cut_off(strength: float) -> None:
    drawn = [draw_variation(np.random.default_rng(k), strength) for k in range(200)]
    unit = [draw_variation(np.random.default_rng(k), 1.0) for k in range(200)]
    shifts = np.array([one.shift for one in drawn])
    np.testing.assert_allclose(shifts, strength * np.array([one.shift for one in unit]))
    assert np.abs(shifts).max(axis=0) == pytest.approx(strength * np.array([0.2, 0.1, 0.1]))
    exponents = np.log([one.exponent for one in drawn])
    assert exponents.mean() == pytest.approx(0, abs=0.06 * strength)
    # a normal distribution that is cut off at 2 has the deviation 0.96
    assert exponents.std() == pytest.approx(0.96 * 0.25 * strength, rel=0.15)
    volumes = [abs(np.linalg.det(one.matrix)) for one in drawn]
    assert 0.8 < np.median(volumes) < 1.25
    assert max(one.deformation for one in drawn) <= 1 + strength


def test_points_go_there_and_back() -> None:
    grid = draw_variation(np.random.default_rng(3), 1.0).grid((5, 6, 7), (1.0, 1.0, 1.0))
    there = np.stack([np.broadcast_to(p, grid.shape)[4, 0, 3] for p in grid.points])
    # the voxel 4, 0, 3 of 5 x 6 x 7
    np.testing.assert_allclose(grid.in_view(there[None])[0], [1, -1, 0], atol=1e-5)


def test_ct_keeps_air_and_fat_and_mr_its_order() -> None:
    varied = draw_variation(np.random.default_rng(0), 1.0)
    flat = np.stack([np.full((4, 4), value) for value in (-1000, -100, 60)]).astype(np.int16)
    air, fat, liver = varied.changed(flat, is_ct=True)[:, 0, 0]
    assert (air, fat) == (-1000, -100)
    assert liver == round(-100 + 160 * varied.ct_scale)
    rising = np.repeat(np.arange(0, 500, 50, dtype=np.int16), 9).reshape(10, 3, 3)
    assert (np.diff(varied.changed(rising, is_ct=False)[:, 1, 1]) > 0).all()


@pytest.mark.parametrize("task", PHANTOM_TASKS)
def test_varied_volumes_lie_elsewhere_and_keep_their_target(task: str) -> None:
    overlaps = []
    for k in range(8):
        plain, varied = (make_case(task, 0, k, SHAPE, variation=v) for v in (0.0, 1.0))
        assert varied.image.dtype == np.int16
        both = (plain.label > 0, varied.label > 0)
        if both[0].any():
            assert both[1].any()
            overlaps.append((both[0] & both[1]).sum() / (both[0] | both[1]).sum())
    assert len(overlaps) >= 6
    assert np.mean(overlaps) < 0.7


def test_the_anatomy_is_drawn_by_the_same_numbers() -> None:
    """What varies has a generator of its own: a little of it changes little."""
    plain = make_case("organ", 0, 1, SHAPE).label > 0
    little = make_case("organ", 0, 1, SHAPE, variation=0.02).label > 0
    assert (plain & little).sum() / (plain | little).sum() > 0.9


@pytest.mark.parametrize("variation", [-0.1, 2.1, float("nan")])
def test_strength_out_of_range(variation: float) -> None:
    with pytest.raises(SparseError, match=r"variation must lie in \[0, 2\], got"):
        make_case("organ", 0, 0, SHAPE, variation=variation)
