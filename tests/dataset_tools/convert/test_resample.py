import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from published_trees import volume

from nnunet_sparse.dataset_tools.convert.resample import (
    resample_image,
    resample_label,
    voxels_outside,
)
from nnunet_sparse.dataset_tools.convert.target_grid import TargetGrid, native_grid, target_grid

ONE = (1.0, 1.0, 1.0)


def line(values: list[int], spacing: float = 1.0) -> sitk.Image:
    """A volume of one column along x."""
    return volume(np.array([[values]], np.uint8), (spacing, 1, 1), (10, 20, 30))


@settings(max_examples=60)
@given(
    st.integers(1, 12),
    st.floats(0.2, 3),
    st.floats(0.2, 3),
    st.integers(1, 14),
    st.data(),
)
def test_no_foreground_is_ever_outside_and_no_object_is_lost(
    length: int, spacing: float, target: float, size: int, data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.sampled_from([0, 0, 0, 1]), min_size=length, max_size=length))
    label = line(values, spacing)
    array = sitk.GetArrayFromImage(label)
    grid = target_grid(label, array, (1.0, 1.0, target), (1, 1, size))
    assert voxels_outside(array, label, grid) == 0
    result = sitk.GetArrayFromImage(resample_label(label, grid)[0])[0, 0]
    indices = grid.indices(2, length, label.GetSpacing()[0])
    for run in np.split(np.arange(length), np.flatnonzero(np.diff(values)) + 1):
        if values[run[0]]:
            assert result[indices[run]].any()


def test_voxels_outside_are_counted() -> None:
    label = line([1, 0, 1, 1])
    outside = voxels_outside(
        sitk.GetArrayFromImage(label), label, TargetGrid((1, 1, 2), ONE, start=(0, 0, 1))
    )
    assert outside == 2


def test_shared_voxels_keep_their_values_and_others_get_the_padding() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(size=(4, 5, 6)).astype(np.float32)
    source = volume(array, (0.7, 0.7, 1.1), (-98.3, 12.1, 7.7))
    grid = target_grid(source, np.zeros(array.shape), (1.1, 0.7, 0.7), (4, 7, 3))
    result = resample_image(source, grid, -5.0)
    expected = np.full((4, 7, 3), -5.0, np.float32)
    expected[:, 1:6] = array[:, :, 1:4]
    np.testing.assert_allclose(sitk.GetArrayFromImage(result), expected, atol=1e-5)
    assert result.GetOrigin() == pytest.approx((-98.3 + 0.7, 12.1 - 0.7, 7.7))


def test_intensities_are_interpolated_linearly() -> None:
    source = volume(np.array([[[0, 10, 20, 40]]], np.int16), (0.5, 1, 1))
    grid = target_grid(source, np.zeros((1, 1, 4)), ONE, (1, 1, 2))
    assert sitk.GetArrayFromImage(resample_image(source, grid, 0.0)).tolist() == [[[5, 30]]]


@given(
    st.sampled_from([np.int16, np.uint8, np.int32, np.float32]),
    st.tuples(*[st.floats(0.3, 3)] * 3),
    st.tuples(*[st.integers(1, 9)] * 3),
)
def test_where_spacing_does_not_change_voxels_are_copied(
    dtype: type, spacing: tuple[float, float, float], size: tuple[int, int, int]
) -> None:
    array = np.random.default_rng(2).integers(0, 200, (4, 5, 6)).astype(dtype)
    source = volume(array, spacing[::-1], (-180.123, -160.5, -90.2))
    # headers hold 32 bits
    wanted = tuple(float(np.float32(mm)) for mm in spacing)
    grid = target_grid(source, np.zeros(array.shape), wanted, size)
    found = sitk.GetArrayFromImage(resample_image(source, grid, 7))
    padded = np.pad(array, 9, constant_values=7)
    start = [9 + s for s in grid.start]
    expected = padded[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    native = resample_image(source, native_grid(source), 7)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(native), array)


@given(st.floats(0.4, 2.5), st.sampled_from([np.int16, np.uint8, np.int32]))
def test_integers_are_rounded_not_cut_off(spacing: float, dtype: type) -> None:
    array = np.random.default_rng(3).integers(0, 250, (3, 4, 40)).astype(dtype)
    sources = [volume(a, (spacing, 1, 1)) for a in (array, array.astype(np.float64))]
    grid = target_grid(sources[0], np.zeros(array.shape), ONE, (3, 4, 20))
    whole, exact = (sitk.GetArrayFromImage(resample_image(s, grid, 0.0)) for s in sources)
    assert whole.dtype == dtype
    np.testing.assert_allclose(whole, exact, atol=0.5 + 1e-4)


# spacing 0.5 to 1 mm: a target voxel lies between two source voxels
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 1, 1, 0, 0], [0, 1, 0]),
        ([0, 1, 1, 1, 0, 0], [1, 1, 0]),  # half a voxel is foreground
        ([1, 1, 1, 2, 0, 0], [1, 2, 0]),  # equal shares: the higher label
        ([1, 1, 0, 2, 2, 2], [1, 2, 2]),
    ],
)
def test_labels_by_share(values: list[int], expected: list[int]) -> None:
    label = line(values, 0.5)
    grid = target_grid(label, np.zeros((1, 1, 6)), ONE, (1, 1, 3))
    result, restored = resample_label(label, grid)
    assert sitk.GetArrayFromImage(result)[0, 0].tolist() == expected
    assert restored == 0


def test_lost_objects_are_restored_and_counted() -> None:
    array = np.zeros((9, 9, 9), np.uint8)
    array[1, 1, 2] = array[1, 1, 6] = 1  # beside the centres of target voxels
    array[6:9, 6:9, 6:9] = 1  # a whole target voxel
    label = volume(array, (1 / 3,) * 3)
    grid = target_grid(label, array, ONE, (3, 3, 3))
    result, restored = resample_label(label, grid)
    assert restored == 2
    marked = np.argwhere(sitk.GetArrayFromImage(result) == 1).tolist()
    assert marked == [[0, 0, 0], [0, 0, 2], [2, 2, 2]]


def test_native_grid_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    label = volume(rng.integers(0, 3, (4, 5, 6)).astype(np.uint8), (0.6, 0.8, 2.5), (3, -4, 50))
    result, restored = resample_label(label, native_grid(label))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(label))
    assert restored == 0
    assert result.GetSpacing() == label.GetSpacing()
    assert result.GetOrigin() == label.GetOrigin()
