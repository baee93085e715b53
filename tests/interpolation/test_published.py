import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.interpolation.published import PublishedMethod
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.interpolation.soft_label import SoftLabel


def fading(moving: SoftLabel, *_: int) -> SoftLabel:
    """Keeps 0.8 of every share."""
    shares = moving.shares * np.float32(0.8)
    return SoftLabel(moving.values, moving.top, moving.left, shares)


def test_labels_are_rounded_after_every_slice() -> None:
    label = np.zeros((9, 4, 4), np.int16)
    label[0, 1:3, 1:3] = 3
    annotated = np.arange(9) == 0
    found = Interpolation("published").fill(label, annotated, (1.0, 1.0), fading)
    assert (found.label == label[0]).all()
    assert (found.confidence == 1).all()
    # of 0.8, 0.64, 0.51 and 0.41 the last loses to the background
    soft = Interpolation(one_way=True).fill(label, annotated, (1.0, 1.0), fading)
    assert [bool(part.any()) for part in soft.label] == [True] * 4 + [False] * 5


def test_rounding_by_hand() -> None:
    shares = np.array([[[0.5, 0.3, 0.4, 0.0]], [[0.2, 0.45, 0.4, 0.5]]], np.float32)
    found = SoftLabel((2, 7), 1, 3, shares).rounded()
    # background wins where shares are equal, then the first class
    assert (found.values, found.top, found.left) == ((2, 7), 1, 3)
    assert found.shares.tolist() == [[[1, 0, 1]], [[0, 1, 0]]]
    assert SoftLabel((), 0, 0, np.zeros((0, 0, 0), np.float32)).rounded().is_empty


@given(st.integers(0, 2**31), st.sets(st.integers(0, 6), min_size=1))
def test_annotated_slices_never_change(seed: int, known: set[int]) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, (7, 5, 6)).astype(np.int16)
    annotated = np.isin(np.arange(7), list(known))
    fills = [
        Interpolation("published", min_confidence=confidence).fill(
            label, annotated, (1.0, 1.0), fading
        )
        for confidence in (0.0, 0.5)
    ]
    for found in fills:
        assert (found.label[annotated] == label[annotated]).all()
        assert (found.hops[annotated] == 0).all()
    assert (fills[0].label == fills[1].label).all()


def test_it_needs_a_warp() -> None:
    with pytest.raises(ValueError, match="published needs a warp"):
        PublishedMethod().fill(np.zeros((2, 3, 3), int), np.array([True, False]), (1.0, 1.0))
