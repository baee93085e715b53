import numpy as np
import pytest

from nnunet_sparse.interpolation.propagation import propagate
from nnunet_sparse.interpolation.verification import verified


def grow(moving, i, j):
    """Label of one pixel more on each side; a wrong warp."""
    del i, j
    shares = np.pad(moving.shares, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return type(moving)(moving.values, moving.top - 1, moving.left - 1, shares)


@pytest.fixture
def volume():
    """Two bright objects, (num_slices, channel, y, x), and their label."""
    label = np.zeros((4, 40, 40), np.int16)
    label[:, 10:16, 10:16], label[:, 22:30, 24:30] = 3, 7
    noise = np.random.default_rng(0).normal(scale=0.1, size=label.shape)
    return (label + noise).astype(np.float16)[:, None], label


def test_what_is_unlike_the_object_is_dropped(volume):
    image, label = volume
    annotated = np.array([1, 0, 0, 0], bool)
    wrong = propagate(label, annotated, grow)
    assert (wrong.label[3] == 3).sum() > 6 * 6
    found = propagate(label, annotated, verified(grow, image))
    np.testing.assert_array_equal(found.label, label)


def test_all_channels_count():
    label = np.zeros((2, 40, 40), np.int16)
    label[:, 10:16, 10:16], label[:, 22:30, 24:30] = 3, 7
    # each object is told from what surrounds it by one channel only
    image = np.stack([label == 3, label == 7], axis=1).astype(np.float16)
    found = propagate(label, np.array([1, 0], bool), verified(grow, image))
    np.testing.assert_array_equal(found.label, label)
    for channel in (0, 1):
        alone = propagate(
            label, np.array([1, 0], bool), verified(grow, image[:, channel : channel + 1])
        )
        assert (alone.label != label).any()


def test_what_is_dropped_goes_to_the_others_that_arrive():
    label = np.zeros((2, 12, 12), np.int16)
    label[0, 2:10, 2:6], label[0, 2:10, 6:10] = 1, 2
    image = np.zeros((2, 1, 12, 12), np.float16)
    # the second object has taken two columns of the first
    image[0, 0, 2:10, 2:6], image[0, 0, 2:10, 6:10] = 1, 5
    image[1, 0, 2:10, 2:4], image[1, 0, 2:10, 4:10] = 1, 5

    def uncertain(moving, i, j):
        del i, j
        shares = moving.shares.copy()
        shares[0, :, 2:4], shares[1, :, 2:4] = 0.6, 0.4
        return type(moving)(moving.values, moving.top, moving.left, shares)

    assert (propagate(label, np.array([1, 0], bool), uncertain).label[1, 5, 4:6] == 1).all()
    found = propagate(label, np.array([1, 0], bool), verified(uncertain, image))
    expected = label[0].copy()
    expected[2:10, 4:6] = 2
    np.testing.assert_array_equal(found.label[1], expected)
    assert (found.confidence[1, 5, 4:6] > 0.99).all()


def test_an_object_that_fills_the_slice_stays():
    label, image = np.ones((3, 8, 8), np.int16), np.ones((3, 1, 8, 8), np.float16)
    found = propagate(label, np.array([1, 0, 0], bool), verified(lambda moving, *_: moving, image))
    assert (found.label == 1).all()


def test_an_object_that_vanishes_is_not_followed(volume):
    image, label = volume
    image[2:] = 0
    found = propagate(label, np.array([1, 0, 0, 0], bool), verified(grow, image))
    assert found.hops.tolist() == [0, 1, -1, -1]
