import numpy as np
import pytest

from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.interpolation.soft_label import SoftLabel
from nnunet_sparse.system.errors import SparseError


def as_it_is(moving, *_):
    return moving


@pytest.fixture
def two_ends():
    """Objects of class 1 and 2 at the two ends of five slices."""
    label = np.zeros((5, 6, 6), np.int16)
    label[0, 1:4, 1:4], label[4, 2:5, 2:5] = 1, 2
    return label, np.array([1, 0, 0, 0, 1], bool)


def test_names_tell_what_is_not_the_default():
    assert Interpolation("shape").name == "mi_shape"
    assert Interpolation().name == "mi_correspondence"
    changed = Interpolation(
        one_way=True,
        verify=True,
        min_confidence=0.6,
        preset="full",
        network_seed=3,
        changes=(("radius", 4),),
    )
    assert changed.name == "mi_correspondence_oneway_verified_full_net3_radius4_conf0.6"
    # what the preset says anyway
    assert Interpolation(changes=(("radius", 6),)) == Interpolation()


def test_the_published_method_has_a_network_of_its_own():
    way = Interpolation("published")
    assert way.name == "mi_published"
    assert way == Interpolation(**way.to_json())
    assert way.network().settings.num_steps == 20_000
    # not that of correspondence, unless its preset is chosen
    assert way.network_names == ["published"]
    assert way.network() == Interpolation(preset="published").network()
    short = Interpolation("published", network_seed=1, changes=(("num_steps", 150),))
    assert short.name == "mi_published_net1_numsteps150"
    # what it switches off is off anyway
    off = (("span", 0), ("spread", 0), ("sharpness", 0), ("outside", 1), ("temperature", 0))
    assert Interpolation("published", changes=off) == way
    with pytest.raises(SparseError, match="preset works with correspondence, not with published"):
        Interpolation("published", preset="full")


def test_methods_without_a_network_have_none():
    way = Interpolation("shape", preset="full", network_seed=2, changes=(("radius", 4),))
    assert way == Interpolation("shape")
    assert not way.uses_network
    assert Interpolation().uses_network


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "magic"}, "unknown interpolation 'magic'"),
        ({"min_confidence": 1.5}, r"min_confidence must lie in \[0, 1\], got 1.5"),
        ({"preset": "huge"}, "unknown preset 'huge'"),
        ({"method": "shape", "one_way": True}, "one_way works with correspondence, not with shape"),
        ({"method": "nearest", "verify": True}, "verify works with correspondence"),
    ],
)
def test_what_does_not_work_is_refused(values, message):
    with pytest.raises(SparseError, match=message):
        Interpolation(**values)


def test_what_arrives_from_both_sides_is_averaged(two_ends):
    found = Interpolation().fill(*two_ends, (1.0, 1.0), as_it_is)
    # of 2, the nearer object has the larger share; where only one arrives, background is the other
    assert found.label[1, 2, 2] == 1
    assert found.label[3, 2, 2] == 2
    assert found.confidence[1, 2, 2] == pytest.approx(0.75)
    assert found.source.tolist() == [0, 0, 0, 4, 4]


def test_one_way_is_algorithm_1(two_ends):
    found = Interpolation(one_way=True).fill(*two_ends, (1.0, 1.0), as_it_is)
    assert found.source.tolist() == [0, 0, 0, 4, 4]
    assert (found.confidence == 1).all()
    for i, source in enumerate(found.source):
        np.testing.assert_array_equal(found.label[i], two_ends[0][source])


def test_confidence_of_one_way_is_what_both_sides_agree_on(two_ends):
    way = Interpolation(one_way=True, min_confidence=0.7)
    found = way.fill(*two_ends, (1.0, 1.0), as_it_is)
    plain = Interpolation(one_way=True).fill(*two_ends, (1.0, 1.0), as_it_is)
    np.testing.assert_array_equal(found.label, plain.label)
    assert found.confidence[1, 2, 2] == pytest.approx(0.75)
    assert found.confidence[2, 2, 2] == pytest.approx(0.5)
    sparse = found.with_ignore(way.min_confidence, 9)
    assert sparse[1, 2, 2] == 1
    assert sparse[2, 2, 2] == 9
    assert (sparse[[0, 4]] == two_ends[0][[0, 4]]).all()


def test_confidence_is_that_of_the_label_that_was_found():
    label = np.zeros((5, 6, 6), np.int16)
    label[0, 2, 2], label[4, 2, 2] = 1, 2

    def fading(moving, *_):
        return SoftLabel(moving.values, moving.top, moving.left, moving.shares * np.float32(0.85))

    found = Interpolation(one_way=True, min_confidence=0.5).fill(
        label, np.array([1, 0, 0, 0, 1], bool), (1.0, 1.0), fading
    )
    # in slice 3 a share of 0.85 has come from slice 4, and of 0.85**3 from slice 0
    assert found.label[3, 2, 2] == 2
    assert found.confidence[3, 2, 2] == pytest.approx(0.75 * 0.85, abs=1e-3)
    # in slice 2 the lower one has arrived first; the background has the larger share of both
    assert found.label[2, 2, 2] == 1
    assert found.confidence[2, 2, 2] == pytest.approx(0.5 * 0.85**2, abs=1e-3)
    assert (found.confidence[:, 0, 0] == 1).all()


def test_correspondence_needs_a_warp(two_ends):
    with pytest.raises(ValueError, match="correspondence needs a warp"):
        Interpolation().fill(*two_ends, (1.0, 1.0))


def test_verification_is_put_around_the_warp():
    slices = np.zeros((2, 1, 6, 6), np.float16)
    slices[0, 0, 1:4, 1:4] = 1
    moving = SoftLabel.of_slice((slices[0, 0] > 0).astype(np.int16))
    assert Interpolation().checked(as_it_is, slices) is as_it_is
    assert Interpolation(verify=True).checked(as_it_is, slices)(moving, 0, 1).is_empty
