import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

from nnunet_sparse.data.annotation import annotated_planes
from nnunet_sparse.planners.label_resampling import place_planes, resample_label_planes

IGNORE = 3


@pytest.mark.parametrize(
    ("planes", "before", "after", "placed"),
    [
        ([1], 3, 6, {2: 1, 3: 1}),  # its two halves
        ([1], 4, 2, {0: 1}),
        ([1, 2], 3, 2, {1: 2}),  # 1 lies between the planes, its tie goes up, where 2 is nearer
        ([0], 3, 3, {0: 0}),
        ([0, 1], 2, 1, {0: 0}),  # equally near: the lower slice
        ([4], 5, 7, {6: 4}),  # the centre of plane 5 lies in slice 3, at 3.93
        ([2], 5, 2, {1: 2}),
        ([], 5, 7, {}),
    ],
)
def test_planes_by_hand(planes: list[int], before: int, after: int, placed: dict[int, int]) -> None:
    assert place_planes(np.array(planes), before, after) == placed


def test_stock_resampling_loses_slices_and_ours_keeps_them() -> None:
    label = np.full((60, 12, 12), IGNORE, np.int16)
    label[10::20] = 0
    label[10::20, 4:8, 4:8] = 1
    shape = (30, 6, 6)
    stock = resample_data_or_seg_to_shape(
        label[None].astype(np.float32), shape, [1, 1, 1], [2, 2, 2], is_seg=True, order=1
    )[0]
    assert len(annotated_planes(stock, 0, IGNORE)) == 0
    ours = resample_label_planes(label, 0, shape, IGNORE)
    assert annotated_planes(ours, 0, IGNORE).tolist() == [5, 15, 25]
    for plane in (5, 15, 25):
        expected = np.zeros((6, 6))
        expected[2:4, 2:4] = 1
        np.testing.assert_array_equal(ours[plane], expected)


shapes = st.tuples(*[st.integers(1, 14)] * 3)


@given(shape=shapes, new=shapes, axis=st.integers(0, 2), seed=st.integers(0, 99), data=st.data())
def test_every_slice_keeps_a_plane_and_nothing_else_gets_a_label(
    shape: tuple[int, int, int],
    new: tuple[int, int, int],
    axis: int,
    seed: int,
    data: st.DataObject,
) -> None:
    planes = data.draw(st.lists(st.integers(0, shape[axis] - 1), unique=True).map(sorted))
    label = np.full(shape, IGNORE, np.int16)
    dense = np.random.default_rng(seed).integers(-1, 3, shape)
    np.moveaxis(label, axis, 0)[planes] = np.moveaxis(dense, axis, 0)[planes]
    resampled = resample_label_planes(label, axis, new, IGNORE)
    assert resampled.shape == new
    assert resampled.dtype == label.dtype
    assert set(np.unique(resampled)) <= {*np.unique(label), IGNORE}
    before, after = shape[axis], new[axis]
    placed = place_planes(np.array(planes), before, after)
    assert annotated_planes(resampled, axis, IGNORE).tolist() == list(placed)
    nearest = {p: (2 * p + 1) * after // (2 * before) for p in planes}
    for plane in planes:
        if plane not in placed.values():
            rival = placed[nearest[plane]]
            assert rival != plane
            centre = (np.array([rival, plane]) + 0.5) * after / before
            near, far = np.abs(centre - (nearest[plane] + 0.5))
            assert near <= far + 1e-9
    # a plane lies in its slice, or is the nearest one
    for target, plane in placed.items():
        inside = 2 * plane * after <= (2 * target + 1) * before < 2 * (plane + 1) * after
        assert inside or nearest[plane] == target


@given(shape=shapes, axis=st.integers(0, 2), num_planes=st.integers(1, 20))
def test_planes_of_the_same_size_are_copied(
    shape: tuple[int, int, int], axis: int, num_planes: int
) -> None:
    label = np.random.default_rng(0).integers(0, 3, shape).astype(np.int16)
    new = tuple(num_planes if a == axis else n for a, n in enumerate(shape))
    resampled = resample_label_planes(label, axis, new, IGNORE)
    placed = place_planes(np.arange(shape[axis]), shape[axis], num_planes)
    for target, plane in placed.items():
        np.testing.assert_array_equal(resampled.take(target, axis), label.take(plane, axis))
