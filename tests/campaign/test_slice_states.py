import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnunet_sparse.campaign.slice_states import PredictedState, SliceStates, slice_states

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


#               0: as predicted, 1: corrected, 2: erased, 3: nothing was predicted, 4: not predicted
PREDICTED = {0: [0, 1], 1: [0, 1], 2: [1, 1], 3: [0, 0]}
SAVED = [[0, 1], [1, 1], [0, 0], [0, 0], [0, 1]]


def states_of(
    confirmed: tuple[int, ...] = (), accepted: tuple[int, ...] = (), may_be_erased: bool = True
) -> SliceStates:
    planes = {i: np.array([plane]) for i, plane in PREDICTED.items()}
    said = PredictedState(planes, accepted, may_be_erased)
    label = np.array(SAVED)[:, None]
    return slice_states(label, 0, range(5), confirmed, IGNORE, said)


def test_a_prediction_counts_where_it_was_changed() -> None:
    states = states_of()
    assert states == SliceStates(predicted=(0,), done=(1, 4), empty=(2,), todo=(3,))
    assert (states.annotated, states.missing) == ((1, 2, 4), (0, 3))
    assert states.of_slice(0) == "todo"
    assert states.summary == "touched"


def test_a_prediction_counts_where_it_was_confirmed() -> None:
    assert states_of(accepted=(0, 3)) == SliceStates(done=(0, 1, 4), empty=(2, 3))


def test_an_object_that_is_confirmed_empty_contradicts() -> None:
    assert states_of(confirmed=(0, 2, 3)) == SliceStates(
        contradictory=(0,), done=(1, 4), empty=(2, 3)
    )


def test_what_did_not_begin_with_the_prediction_was_not_erased() -> None:
    assert states_of(may_be_erased=False) == SliceStates(predicted=(0,), done=(1, 4), todo=(2, 3))


def test_confirming_all_that_is_empty_confirms_no_prediction() -> None:
    states = states_of()
    assert states.with_confirmed(states.todo).predicted == (0,)
