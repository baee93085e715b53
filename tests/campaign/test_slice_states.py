import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnunet_sparse.campaign.slice_states import SliceStates, slice_states

IGNORE = 2
#             todo    done    empty   skipped unfin.  none    extra   part
SLICES = [[0, 0], [0, 1], [0, 0], [2, 2], [1, 2], [2, 2], [2, 1], [0, 2]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_state(axis: int) -> None:
    label = np.moveaxis(np.array(SLICES)[:, None], 0, axis)
    states = slice_states(label, axis, {0, 1, 2, 3, 4, 7}, {2}, IGNORE)
    assert states == SliceStates(
        todo=(0,), done=(1, 7), empty=(2,), skipped=(3,), unfinished=(4,), extra=(6,)
    )
    assert (states.annotated, states.missing) == ((1, 2, 7), (0, 3, 4))


def test_an_object_on_a_slice_confirmed_empty() -> None:
    states = slice_states(np.array([[[0, 1]]]), 0, {0}, {0}, IGNORE)
    assert states.contradictory == (0,)


def test_ignore_everywhere_on_a_slice_confirmed_empty() -> None:
    states = slice_states(np.array([[[2, 2]]]), 0, {0}, {0}, IGNORE)
    assert states.contradictory == (0,)


def test_background_that_nobody_asked_for_is_no_annotation() -> None:
    states = slice_states(np.array([[[0, 2]], [[0, 0]]]), 0, (), (), IGNORE)
    assert (states.extra, states.cleared) == ((), (0, 1))


def test_confirming_later() -> None:
    states = SliceStates(todo=(1, 2), done=(3,), empty=(4,)).with_confirmed({2, 3})
    assert states == SliceStates(todo=(1,), done=(3,), empty=(2, 4))


@pytest.mark.parametrize(
    ("states", "summary"),
    [
        (SliceStates(todo=(1, 2)), "todo"),
        (SliceStates(todo=(1,), done=(2,)), "touched"),
        (SliceStates(skipped=(1,)), "touched"),
        (SliceStates(done=(1,), empty=(2,)), "done"),
        (SliceStates(empty=(1, 2)), "confirmed empty"),
    ],
)
def test_summary(states: SliceStates, summary: str) -> None:
    assert states.summary == summary


@given(
    arrays(np.uint8, (5, 2, 2), elements=st.integers(0, IGNORE)),
    st.sets(st.integers(0, 4)),
    st.sets(st.integers(0, 4)),
)
def test_every_slice_asked_for_has_one_state(
    label: np.ndarray, asked: set[int], confirmed: set[int]
) -> None:
    states = slice_states(label, 0, asked, confirmed & asked, IGNORE)
    assert sorted((*states.annotated, *states.missing)) == sorted(asked)
    assert not {*states.extra, *states.cleared} & asked
