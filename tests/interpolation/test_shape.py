import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.interpolation.shape import ShapeMethod, signed_distance


def disc(radius, centre=(20.0, 20.0), size=41, value=1):
    y, x = np.indices((size, size))
    inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
    return (value * inside).astype(np.int16)


def between(first, last, num_slices=5, **options):
    label = np.full((num_slices, *first.shape), 99, np.int16)
    label[0], label[-1] = first, last
    annotated = np.zeros(num_slices, bool)
    annotated[[0, -1]] = True
    return ShapeMethod().fill(label, annotated, **options)


def test_distance_by_hand():
    mask = np.array([[0, 1, 1, 1, 0]], bool)
    assert signed_distance(mask, (1.0, 2.0)).tolist() == [[-2, 2, 4, 2, -2]]


def test_a_cone_has_the_radii_between():
    found = between(disc(4), disc(16))
    for i, radius in enumerate((4, 7, 10, 13, 16)):
        assert found.label[i].sum() == pytest.approx(disc(radius).sum(), rel=0.08)
    assert found.source.tolist() == [0, 0, 0, 4, 4]
    assert found.hops.tolist() == [0, 1, 2, 1, 0]


def test_equal_slices_give_the_same_between():
    shown = disc(7) + disc(5, (20, 32), value=2) * (disc(7) == 0)
    found = between(shown, shown)
    for i in range(5):
        np.testing.assert_array_equal(found.label[i], shown)
    assert (found.confidence[[0, 4]] == 1).all()


def test_a_label_that_ends_vanishes_half_way():
    found = between(disc(8), disc(0) * 0, num_slices=9)
    areas = [int(part.sum()) for part in found.label]
    assert areas[1] > areas[2] > areas[3] > 0
    assert areas[4:] == [0] * 5


@pytest.mark.parametrize("distance", [20, 60, 120])
def test_a_label_vanishes_the_same_way_whatever_else_there_is(distance):
    alone = disc(8, (20, 20), size=41)
    wide = np.zeros((41, 41 + distance), np.int16)
    first = wide.copy()
    first[:, :41] = alone
    last = wide.copy()
    last[10:31, distance + 15 : distance + 36] = 2
    first[last > 0] = 2
    expected = between(alone, 0 * alone, num_slices=9).label
    found = between(first, last, num_slices=9).label
    for i in range(9):
        assert (found[i] == 1).sum() == expected[i].sum()
        assert (found[i] == 2).sum() == (last > 0).sum()


def test_labels_that_meet_leave_no_gap():
    first, last = np.zeros((2, 30, 30), np.int16)
    first[5:25, 5:15], first[5:25, 15:25] = 1, 2
    last[5:25, 5:19], last[5:25, 19:25] = 1, 2
    found = between(first, last)
    for part in found.label:
        assert ((part > 0) == (first > 0)).all()
    border = [(part[10] == 1).sum() for part in found.label]
    assert border == sorted(border)
    assert border[2] == 12


def test_anisotropic_pixels_change_the_way():
    first, last = np.zeros((2, 21, 21), np.int16)
    first[6:15, 10], last[10, 6:15] = 1, 1
    found = between(first, last, 3, spacing_mm=(1.0, 1.0))
    other = between(first, last, 3, spacing_mm=(1.0, 5.0))
    assert (found.label[1] != other.label[1]).any()


def test_no_object_and_beyond_the_ends():
    label = np.stack([disc(5), disc(5), disc(0) * 0, disc(5), disc(0) * 0])
    annotated = np.array([0, 1, 1, 0, 1], bool)
    found = ShapeMethod().fill(label, annotated)
    np.testing.assert_array_equal(found.label[0], label[1])
    assert not found.label[3].any()
    assert found.confidence[0].min() < 0.6


@given(st.integers(0, 10**6), st.integers(1, 7))
def test_annotated_slices_stay_and_no_label_is_invented(seed, count):
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 1, 7, 40], (7, 6, 5)).astype(np.int16)
    annotated = np.zeros(7, bool)
    annotated[rng.choice(7, count, replace=False)] = True
    found = ShapeMethod().fill(label, annotated)
    np.testing.assert_array_equal(found.label[annotated], label[annotated])
    assert set(np.unique(found.label)) <= set(np.unique(label[annotated])) | {0}
    assert (found.confidence >= 0).all()
    assert (found.confidence <= 1).all()
