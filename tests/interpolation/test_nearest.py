import numpy as np
import pytest

from nnunet_sparse.interpolation.dense_label import enclosing, nearest_annotated
from nnunet_sparse.interpolation.nearest import NearestMethod


def annotated(num_slices, *known):
    result = np.zeros(num_slices, bool)
    result[list(known)] = True
    return result


def test_nearest_annotated_by_hand():
    assert nearest_annotated(annotated(8, 2, 6)).tolist() == [2, 2, 2, 2, 2, 6, 6, 6]


def test_enclosing_by_hand():
    known = annotated(6, 1, 4)
    expected = [(None, 1), (1, 1), (1, 4), (1, 4), (4, 4), (4, None)]
    assert [enclosing(known, i) for i in range(6)] == expected


def test_copies_by_hand():
    label = np.full((6, 1, 2), 9, np.uint8)  # whatever stands in other slices
    label[1], label[4] = [[0, 3]], [[5, 3]]
    found = NearestMethod().fill(label, annotated(6, 1, 4))
    assert found.label[:, 0].tolist() == [[0, 3], [0, 3], [0, 3], [5, 3], [5, 3], [5, 3]]
    assert found.label.dtype == np.uint8
    assert found.source.tolist() == [1, 1, 1, 4, 4, 4]
    assert found.hops.tolist() == [1, 0, 1, 1, 0, 1]
    expected = [[0.5, 0.5], [1, 1], [2 / 3, 1], [2 / 3, 1], [1, 1], [0.5, 0.5]]
    np.testing.assert_allclose(found.confidence[:, 0], expected, atol=1e-3)
    ignored = found.with_ignore(0.6, 7)
    assert ignored[:, 0].tolist() == [[7, 7], [0, 3], [0, 3], [5, 3], [5, 3], [7, 7]]


@pytest.mark.parametrize("known", [(0,), (2,), range(4)])
def test_one_or_all_slices(known):
    label = np.random.default_rng(0).integers(0, 3, (4, 3, 3))
    found = NearestMethod().fill(label, annotated(4, *known))
    for i in range(4):
        source = i if i in known else next(iter(known))
        np.testing.assert_array_equal(found.label[i], label[source])
