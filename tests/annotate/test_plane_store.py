import numpy as np
import pytest

from nnunet_sparse.annotate.plane_store import PlaneStore, plane_check


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_slices_come_back(axis: int, dtype: type) -> None:
    label = np.random.default_rng(0).integers(0, 200, (4, 5, 6)).astype(dtype)
    planes = np.moveaxis(label, axis, 0)
    planes[1] = 3
    store = PlaneStore(label, axis)
    assert len(store) == label.shape[axis]
    np.testing.assert_array_equal(store.whole(), label)
    assert store.whole().dtype == dtype
    got = store[1]
    got[...] = 7  # the caller's own
    assert (store[1] == 3).all()
    store[2] = np.arange(planes[0].size).reshape(planes[0].shape)
    assert store[2].dtype == dtype
    assert plane_check(store[2]) == plane_check(np.arange(planes[0].size, dtype=dtype))
