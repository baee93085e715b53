import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.interpolation.dense_label import NEVER_REACHED
from nnunet_sparse.interpolation.propagation import propagate, propagate_both_ways
from nnunet_sparse.interpolation.soft_label import SoftLabel, average

WAYS = pytest.mark.parametrize("way", [propagate, propagate_both_ways])


def as_it_is(moving, i, j):
    assert abs(i - j) == 1
    return moving


def label_of(num_slices, **slices):
    """Slices of 6 x 6 by index; 99 elsewhere, and what is annotated."""
    label = np.full((num_slices, 6, 6), 99, np.int16)
    annotated = np.zeros(num_slices, bool)
    for name, (value, where) in slices.items():
        i = int(name[1:])
        label[i], annotated[i] = 0, True
        label[i][where] = value
    return label, annotated


SQUARE, OTHER = (slice(1, 3), slice(1, 3)), (slice(3, 5), slice(2, 6))


def test_the_order_is_first_in_first_out():
    label, annotated = label_of(6, s1=(1, SQUARE), s4=(2, OTHER))
    steps = []

    def warp(moving, i, j):
        steps.append((i, j))
        return moving

    found = propagate(label, annotated, warp)
    assert steps == [(1, 0), (1, 2), (4, 3), (4, 5)]
    assert found.source.tolist() == [1, 1, 1, 4, 4, 4]
    assert found.hops.tolist() == [1, 0, 1, 1, 0, 1]
    for i, source in enumerate(found.source):
        np.testing.assert_array_equal(found.label[i], label[source])


def as_published(label, annotated, warp):
    """Algorithm 1 with one queue for the whole volume: label, source, hops."""
    found, source = np.where(annotated[:, None, None], label, 0), np.full(len(label), -1)
    hops = np.where(annotated, 0, -1)
    source[annotated] = np.flatnonzero(annotated)
    queue = [(i, SoftLabel.of_slice(label[i])) for i in np.flatnonzero(annotated)]
    while queue:
        i, moving = queue.pop(0)
        for j in (i - 1, i + 1):
            if not 0 <= j < len(label) or hops[j] >= 0 or moving.is_empty:
                continue
            arrived = warp(moving, i, j)
            if not arrived.is_empty:
                arrived.write(found[j], np.ones(label.shape[1:]))
                source[j], hops[j] = source[i], hops[i] + 1
                queue.append((j, arrived))
    return found, source, hops


@given(st.data())
def test_one_queue_for_each_gap_gives_what_one_for_all_gives(data):
    num_slices = data.draw(st.integers(1, 12))
    known = data.draw(st.sets(st.integers(0, num_slices - 1), min_size=1))
    lost = data.draw(st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11))))
    slices = {f"s{i}": (data.draw(st.integers(0, 3)), SQUARE) for i in known}
    label, annotated = label_of(num_slices, **slices)

    def warp(moving, i, j):
        if (i, j) in lost:
            return SoftLabel((), 0, 0, np.zeros((0, 0, 0), np.float32))
        return SoftLabel(moving.values, moving.top, (moving.left + 1) % 4, moving.shares)

    found = propagate(label, annotated, warp)
    expected = as_published(label, annotated, warp)
    for one, other in zip((found.label, found.source, found.hops), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@WAYS
def test_it_stops_where_no_object_arrives(way):
    label, annotated = label_of(9, s4=(3, SQUARE))

    def until_2(moving, _, j):
        return moving if j >= 2 else SoftLabel((), 0, 0, np.zeros((0, 0, 0), np.float32))

    found = way(label, annotated, until_2)
    assert found.source.tolist() == [NEVER_REACHED] * 2 + [4] * 7
    assert found.hops.tolist() == [NEVER_REACHED] * 2 + [2, 1, 0, 1, 2, 3, 4]
    assert not found.label[:2].any()
    assert (found.label[2:] == 3).sum(axis=(1, 2)).tolist() == [4] * 7


@WAYS
def test_an_empty_annotated_slice_stays_and_stops_the_others(way):
    label, annotated = label_of(7, s1=(1, SQUARE), s3=(0, SQUARE), s6=(0, SQUARE))
    found = way(label, annotated, as_it_is)
    assert not found.label[3:].any()
    assert found.source.tolist() == [1, 1, 1, 3, NEVER_REACHED, NEVER_REACHED, 6]
    np.testing.assert_array_equal(found.label[0], label[1])


@WAYS
def test_no_object_anywhere(way):
    label, annotated = label_of(4, s1=(0, SQUARE))
    found = way(label, annotated, as_it_is)
    assert not found.label.any()
    assert found.hops.tolist() == [NEVER_REACHED, 0, NEVER_REACHED, NEVER_REACHED]


def test_both_ways_are_weighted_by_distance():
    label, annotated = label_of(5, s0=(1, SQUARE), s4=(2, OTHER))
    found = propagate_both_ways(label, annotated, as_it_is)
    for i, (first, second) in enumerate([(1, 0), (1, 0), (0, 0), (0, 2), (0, 2)]):
        assert found.label[i][SQUARE].max() == first
        assert found.label[i][OTHER].max() == second
    np.testing.assert_allclose(found.confidence[1][SQUARE], 0.75)
    assert found.source.tolist() == [0, 0, 0, 4, 4]
    # where both sides say background
    np.testing.assert_allclose(found.confidence[1, 0], 1)


@WAYS
def test_two_objects_that_merge(way):
    label, annotated = label_of(5, s0=(1, SQUARE), s4=(0, SQUARE))
    label[0][OTHER] = 1

    def to_the_middle(moving, *_):
        whole = np.zeros((6, 6), np.int16)
        moving.write(whole, np.zeros((6, 6)))
        rows = np.flatnonzero(whole.any(axis=1))
        closed = np.zeros_like(whole)
        if len(rows):
            closed[rows[0] : rows[-1] + 1, 2] = 1
        return SoftLabel.of_slice(closed)

    found = way(label, annotated, to_the_middle)
    assert (found.label[1] > 0).sum() == 4  # one object, from row 1 to row 4
    np.testing.assert_array_equal(found.label[0], label[0])


def test_an_object_that_vanishes_and_reappears():
    label, annotated = label_of(9, s0=(1, SQUARE), s8=(1, OTHER))

    def gone_in_the_middle(moving, _, j):
        return SoftLabel((), 0, 0, np.zeros((0, 0, 0), np.float32)) if 3 <= j <= 5 else moving

    for way in (propagate, propagate_both_ways):
        found = way(label, annotated, gone_in_the_middle)
        shown = (found.label > 0).any(axis=(1, 2)).tolist()
        assert shown == [True] * 3 + [False] * 3 + [True] * 3
        assert found.source.tolist() == [0] * 3 + [NEVER_REACHED] * 3 + [8] * 3
        # both ends show it, so that what lies between is not sure
        assert (found.confidence[3:6] == 0.5).all()


@WAYS
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_annotated_slices_are_never_changed(way, seed, count):
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 2, 200], (6, 5, 4)).astype(np.uint8)
    annotated = np.zeros(6, bool)
    annotated[rng.choice(6, count, replace=False)] = True
    found = way(label, annotated, as_it_is)
    np.testing.assert_array_equal(found.label[annotated], label[annotated])
    assert (found.hops[annotated] == 0).all()
    reached = found.source != NEVER_REACHED
    assert annotated[found.source[reached]].all()
    distance = np.abs(np.arange(6) - found.source)[reached]
    np.testing.assert_array_equal(found.hops[reached], distance)
    assert not found.label[~reached].any()


@given(st.integers(0, 10**6))
def test_a_slice_survives_being_soft(seed):
    part = np.random.default_rng(seed).choice([0, 0, 0, 3, 9], (6, 7))
    label, confidence = np.full((6, 7), 5), np.zeros((6, 7))
    SoftLabel.of_slice(part).write(label, confidence)
    np.testing.assert_array_equal(label, part)
    assert (confidence == 1).all()


def test_average_by_hand():
    first = SoftLabel((4,), 1, 1, np.full((1, 1, 2), 0.8, np.float32))
    second = SoftLabel((2, 4), 1, 2, np.array([[[0.4, 0.9]], [[0.2, 0.0]]], np.float32))
    both = average(first, second, 0.75)
    assert (both.values, both.top, both.left) == ((2, 4), 1, 1)
    expected = [[[0, 0.1, 0.225]], [[0.6, 0.65, 0]]]
    np.testing.assert_allclose(both.shares, expected, atol=1e-6)
    label, confidence = np.zeros((3, 5), int), np.zeros((3, 5))
    both.write(label, confidence)
    assert label[1].tolist() == [0, 4, 4, 0, 0]
    np.testing.assert_allclose(confidence[1], [1, 0.6, 0.65, 0.775, 1], atol=1e-6)
