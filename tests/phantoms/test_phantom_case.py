import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sparse.phantoms import MIN_SHAPE, PHANTOM_TASKS, make_case
from nnunet_sparse.system.errors import SparseError

SHAPE = (16, 32, 32)


def test_tasks_have_consecutive_labels_and_ct_only_for_the_lesion():
    assert list(PHANTOM_TASKS) == ["lesion", "organ", "tree", "subtle"]
    assert [t.channel_name for t in PHANTOM_TASKS.values()] == ["CT", "MR", "MR", "MR"]
    for task in PHANTOM_TASKS.values():
        assert list(task.labels.values()) == list(range(len(task.labels)))
    assert PHANTOM_TASKS["lesion"].labels == {"background": 0, "liver": 1, "tumour": 2}


@given(
    task=st.sampled_from(list(PHANTOM_TASKS)),
    seed=st.integers(0, 2**32),
    case=st.integers(0, 1000),
    shape=st.tuples(*[st.integers(n, n + 9) for n in MIN_SHAPE]),
    spacing_mm=st.tuples(*[st.floats(0.2, 20)] * 3),
)
@settings(max_examples=40)
def test_any_parameters_give_a_valid_case(task, seed, case, shape, spacing_mm):
    made = make_case(task, seed, case, shape, spacing_mm)
    assert made.image.shape == made.label.shape == shape
    assert made.image.dtype == np.int16
    assert made.label.dtype == np.uint8
    assert set(np.unique(made.label)) <= set(PHANTOM_TASKS[task].labels.values())
    assert made.image.std() > 0


@pytest.mark.parametrize("task", PHANTOM_TASKS)
def test_same_arguments_give_the_same_case_and_others_another(task):
    first, again = make_case(task, 3, 5, SHAPE), make_case(task, 3, 5, SHAPE)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.label, again.label)
    for other in (make_case(task, 3, 6, SHAPE), make_case(task, 4, 5, SHAPE)):
        assert (first.image != other.image).mean() > 0.5


@pytest.mark.parametrize("task", PHANTOM_TASKS)
def test_cases_vary_and_leave_slices_without_object(task):
    labels = [make_case(task, 0, k, (24, 48, 48)).label > 0 for k in range(8)]
    sizes = [label.sum() for label in labels]
    assert max(sizes) > 1.5 * min(sizes)
    empty = [1 - label.any(axis=(1, 2)).mean() for label in labels]
    assert 0.2 < np.mean(empty) < 0.95
    assert not any(label[0].any() and label[-1].any() for label in labels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "liver"}, "unknown phantom task 'liver' .there are: lesion, organ"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"shape": (7, 32, 32)}, "at least 8 x 32 x 32 .z, y, x., got 7 x 32 x 32"),
        ({"shape": (0, -5, 32)}, "got 0 x -5 x 32"),
        ({"shape": (32, 32)}, "three numbers"),
        ({"shape": (1000, 1000, 1000)}, "at most 134217728 voxels"),
        ({"spacing_mm": (1, 0, 1)}, "positive numbers of mm .z, y, x., got 1 x 0 x 1"),
        ({"spacing_mm": (1, float("inf"), 1)}, "positive"),
    ],
)
def test_impossible_parameters_are_refused_with_their_value(arguments, message):
    with pytest.raises(SparseError, match=message):
        make_case(**{"task": "organ", "seed": 0, "case": 0, **arguments})
