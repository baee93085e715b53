from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.campaign.same_grid import part_of, whole_of
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.system.errors import SparseError

SHAPE = (4, 5, 6)
SPACING = (3.0, 1.5, 1.0)
ANGLE = np.radians(20)
TURN = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]])
FILL = 9


def geometry(
    shape: tuple[int, ...] = SHAPE,
    spacing: tuple[float, ...] = SPACING,
    origin: tuple[float, ...] = (-7, 2, 30),
    directions: np.ndarray = TURN,
) -> Geometry:
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = origin
    return Geometry(shape, affine)


IMAGE = geometry()
ARRAY = np.arange(1, 121).reshape(SHAPE)


def stored(
    array: np.ndarray, axes: tuple[int, ...], flips: tuple[bool, ...], region: tuple[slice, ...]
) -> tuple[np.ndarray, Geometry]:
    """A part of an array on the image's voxels, its axes permuted and then some run backwards."""
    move = np.eye(4)
    move[:3, 3] = [s.start for s in region]
    move = move[:, [*axes, 3]]
    part = array[region].transpose(axes)
    for axis, flip in enumerate(flips):
        if flip:
            part = np.flip(part, axis)
            move[:3, 3] += move[:3, axis] * (part.shape[axis] - 1)
            move[:3, axis] *= -1
    assert IMAGE.affine is not None
    return part, Geometry(part.shape, IMAGE.affine @ move)


def on_grid(
    array: np.ndarray, place: Geometry, image: Geometry = IMAGE, fill: int = FILL
) -> np.ndarray:
    region, part = part_of(array, place, image)
    result = np.full(image.shape, fill)
    result[region] = part
    return result


@given(
    st.permutations(range(3)),
    st.tuples(*[st.booleans()] * 3),
    st.tuples(*[st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True) for n in SHAPE]),
    st.lists(st.floats(-0.05, 0.05), min_size=3, max_size=3),
)
def test_any_order_of_axes_flip_and_crop_is_undone(
    axes: list[int], flips: tuple[bool, ...], ends: tuple[list[int], ...], jitter: list[float]
) -> None:
    region = tuple(slice(min(pair), max(pair)) for pair in ends)
    part, place = stored(ARRAY, tuple(axes), flips, region)
    assert place.affine is not None
    place.affine[:3, 3] += jitter
    expected = np.full(SHAPE, FILL)
    expected[region] = ARRAY[region]
    np.testing.assert_array_equal(on_grid(part, place), expected)


def test_worked_by_hand() -> None:
    image = geometry((1, 2, 3), (1, 1, 1), (0, 0, 0), np.eye(3))
    # the other file runs along axis 2, backwards from index 2 to 1
    place = geometry((2, 1, 1), (1, 1, 1), (0, 1, 2), np.eye(3)[:, [2, 1, 0]] * [-1, 1, 1])
    found = on_grid(np.array([5, 6]).reshape(2, 1, 1), place, image, 0)
    assert found.tolist() == [[[0, 0, 0], [0, 6, 5]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"spacing": (2.5, 1.5, 1)},
            "its spacing is 2.5 x 1.5 x 1 mm, the image's 3 x 1.5 x 1 mm; it is up to 1.5 voxels",
        ),
        ({"directions": np.eye(3)}, "its axes are turned by 20 degrees; it is up to"),
        ({"origin": (-7, 2, 30.4)}, "its origin lies between the voxels of .* up to 0.4 voxels"),
        ({"origin": (-7, 2, 30.11)}, "up to 0.11 voxels off"),
        ({"origin": (-7, 2, 33)}, "^origin, spacing or direction differ, by up to 3 voxels$"),
        ({"origin": (-7, 2, -3000)}, "^origin, spacing or direction differ, by up to 3e"),
        ({"spacing": (0, 1, 1)}, "its header gives no valid position"),
        ({"origin": (np.nan, 0, 0)}, "its header gives no valid position"),
    ],
)
def test_other_voxels_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SparseError, match=message):
        on_grid(ARRAY, geometry(**change))


@pytest.mark.parametrize(("z", "count"), [(32, 20), (3000, 100), (-3000, 100)])
def test_voxels_outside_are_refused(z: int, count: int) -> None:
    place = geometry((4, 5, 5), origin=(-7, 2, z))
    with pytest.raises(SparseError, match=f"^{count} of its voxels that are not 0 lie outside"):
        on_grid(ARRAY[..., 1:], place)


@pytest.mark.parametrize(("shift", "low", "high"), [(2, 2, 6), (-2, 0, 4)])
def test_zeros_may_lie_outside(shift: int, low: int, high: int) -> None:
    covered = slice(low, high), slice(low - shift, high - shift)  # of the image, of the array
    array = np.zeros_like(ARRAY)
    array[..., covered[1]] = ARRAY[..., covered[1]]
    found = on_grid(array, geometry(origin=(-7, 2, 30 + shift)))
    expected = np.full(SHAPE, FILL)
    expected[..., covered[0]] = ARRAY[..., covered[1]]
    np.testing.assert_array_equal(found, expected)


def test_spacing_along_an_axis_of_length_1_is_of_no_importance() -> None:
    place = geometry((1, 5, 6), (17, 1.5, 1))
    region, part = part_of(ARRAY[:1], place, IMAGE)
    assert region == (slice(0, 1), slice(0, 5), slice(0, 6))
    np.testing.assert_array_equal(part, ARRAY[:1])


def test_a_geometry_without_position_is_refused() -> None:
    with pytest.raises(SparseError, match="no valid position"):
        on_grid(ARRAY, Geometry(SHAPE, None))


@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_whole_volume_in_any_order_of_axes_and_flips(
    axes: list[int], flips: tuple[bool, ...]
) -> None:
    part, place = stored(ARRAY, tuple(axes), flips, tuple(slice(0, n) for n in SHAPE))
    np.testing.assert_array_equal(whole_of(part, place, IMAGE), ARRAY)


@pytest.mark.parametrize("array", [ARRAY, np.zeros_like(ARRAY)], ids=["marked", "empty"])
def test_whole_volume_that_is_flipped_and_moved_by_voxels_is_refused(array: np.ndarray) -> None:
    assert IMAGE.affine is not None
    # runs from index 6 to 1 along the last axis
    place = Geometry(
        SHAPE, IMAGE.affine @ [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 6], [0, 0, 0, 1]]
    )
    with pytest.raises(SparseError, match="direction differ, by up to 1 voxels"):
        whole_of(array, place, IMAGE)


def test_whole_volume_of_another_shape_is_refused() -> None:
    with pytest.raises(SparseError, match=r"it has shape \(3, 5, 6\), the image \(4, 5, 6\)"):
        whole_of(ARRAY[:3], geometry((3, 5, 6)), IMAGE)
