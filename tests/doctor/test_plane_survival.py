import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

from nnunet_sparse.doctor.plane_survival import (
    lost_slices,
    planes_of_slice,
    stock_planes,
    stray_planes,
)
from nnunet_sparse.planners.label_resampling import place_planes

ARGUMENTS = {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None}


def every_20th(num_slices=60):
    annotated = np.zeros(num_slices)
    annotated[10::20] = 1
    return annotated


def test_planes_of_a_slice():
    # at twice the number slice 3 covers planes 6 and 7, at half of it a half of plane 1
    assert planes_of_slice(3, 10, 20) == [6, 7]
    assert planes_of_slice(3, 10, 5) == [1]
    # 10 slices on 15 planes: slice 2 covers planes 3 and half of 4, whose centre is in slice 3
    assert planes_of_slice(2, 10, 15) == [3]
    # 10 slices on 4 planes: slice 2 lies across planes 0 and 1, and no centre in it
    assert planes_of_slice(2, 10, 4) == [0, 1]


def test_a_plane_with_a_small_rest_is_lost():
    annotated = np.array([0, 1, 0, 1.0])
    assert lost_slices(annotated, np.array([0, 0.6, 0, 0.4])) == [3]


def test_two_slices_on_one_plane_are_kept():
    assert lost_slices(np.array([0, 0, 1, 1.0]), np.array([0, 1.0])) == []


def test_stray_planes():
    assert stray_planes(np.array([0, 1, 0, 0]), np.array([0, 1, 0, 0.1])) == [3]
    assert stray_planes(np.array([0, 1, 0, 0]), np.array([1, 0])) == []


def test_stock_loses_every_20th_slice_at_twice_the_spacing():
    planes = stock_planes(
        every_20th(), 0, 30, (1, 1, 1), (2, 1, 1), resample_data_or_seg_to_shape, ARGUMENTS
    )
    assert lost_slices(every_20th(), planes) == [10, 30, 50]


@given(axis=st.integers(0, 2), num_targets=st.integers(20, 90), thickness=st.sampled_from([1, 4]))
def test_a_few_voxels_tell_what_happens_to_a_volume(axis, num_targets, thickness):
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = float(thickness)
    target = list(spacing)
    target[axis] = thickness * 60 / num_targets
    planes = stock_planes(
        every_20th(), axis, num_targets, spacing, target, resample_data_or_seg_to_shape, ARGUMENTS
    )
    label = np.ones((60, 11, 9), np.float32)
    label[10::20] = 0
    shape = [num_targets, 11, 9]
    volume = np.moveaxis(label, 0, axis)[None]
    new_shape = np.moveaxis(np.zeros(shape), 0, axis).shape
    whole = resample_data_or_seg_to_shape(volume, np.array(new_shape), spacing, target, **ARGUMENTS)
    whole = np.moveaxis(whole[0], axis, 0) == 0
    np.testing.assert_array_equal(planes > 0, whole.all(axis=(1, 2)))
    np.testing.assert_array_equal(planes > 0, whole.any(axis=(1, 2)))


@given(
    num_slices=st.integers(1, 40),
    num_targets=st.integers(1, 80),
    chosen=st.sets(st.integers(0, 39), min_size=1),
)
def test_our_placement_loses_nothing_and_strays_nowhere(num_slices, num_targets, chosen):
    planes = np.array(sorted({index % num_slices for index in chosen}))
    annotated = np.zeros(num_slices)
    annotated[planes] = 1
    resampled = np.zeros(num_targets)
    resampled[list(place_planes(planes, num_slices, num_targets))] = 1
    assert lost_slices(annotated, resampled) == []
    assert stray_planes(annotated, resampled) == []
