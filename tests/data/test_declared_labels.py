from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_sparse.data.declared_labels import (
    LabelError,
    LabelRule,
    declared_labels,
    foreground_values,
    label_names,
)

values = st.integers(0, 4)
entries = st.one_of(values, st.lists(values, min_size=1, max_size=3))
# drawn apart, so that most dictionaries are not refused for want of a background
labels = st.builds(
    lambda background, ignore, others: {**background, **others, **ignore},
    st.one_of(
        st.just({"background": 0}), st.fixed_dictionaries({}, optional={"background": entries})
    ),
    st.fixed_dictionaries({}, optional={"ignore": entries}),
    st.dictionaries(st.sampled_from("abc"), entries),
)


def manager_of(declared: dict[str, Any], order: list[int] | None) -> LabelManager | None:
    """What nnU-Net makes of the labels; None if it refuses them, or would when it plans."""
    try:
        manager = LabelManager(declared, order)
    except (AssertionError, RuntimeError, TypeError, ValueError):
        return None
    in_order = [*manager.all_labels, *([manager.ignore_label] if manager.has_ignore_label else [])]
    return manager if (np.ediff1d(in_order) == 1).all() else None


@given(labels, st.one_of(st.none(), st.lists(values, max_size=3)))
def test_agrees_with_nnunet(declared: dict[str, Any], order: list[int] | None) -> None:
    manager = manager_of(declared, order)
    try:
        found = declared_labels({"labels": declared, "regions_class_order": order})
    except LabelError:
        assert manager is None
        return
    assert manager is not None
    assert found.has_regions == manager.has_regions
    assert found.ignore == manager.ignore_label
    assert list(found.values) == manager.all_labels
    if manager.has_regions:
        regions = [r if isinstance(r, tuple) else (r,) for r in manager.foreground_regions]
        assert list(found.foreground.values()) == regions
    else:
        classes = {value for values in found.foreground.values() for value in values}
        assert sorted(classes) == manager.foreground_labels


@pytest.mark.parametrize(
    ("declared", "rule", "message"),
    [
        ({"a": 1}, LabelRule.BACKGROUND, "background must be 0, got None"),
        ({"background": [0], "a": 1}, LabelRule.BACKGROUND, r"must be 0, got \[0\]"),
        ({"background": 0, "a": 2, "ignore": 2}, LabelRule.IGNORE, "that is 3, got 2"),
        ({"background": 0, "a": [1, 2]}, LabelRule.ORDER, "must list 1 labels, got None"),
        ({"background": 0, "a": 1, "b": 3}, LabelRule.CONSECUTIVE, r"got \[0, 1, 3\]"),
        ({"background": 0, "a": 2, "ignore": 3}, LabelRule.CONSECUTIVE, r"got \[0, 2\]"),
        *(
            ({"background": 0, "a": entry}, LabelRule.VALUE, "a must be a whole number, got ")
            for entry in (True, -1, 1.0, "1", None, [], [1, "2"])
        ),
    ],
)
def test_says_what_is_wrong(declared: dict[str, Any], rule: LabelRule, message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        declared_labels({"labels": declared})
    assert caught.value.rule is rule


def test_one_value_in_a_list_is_no_region() -> None:
    found = declared_labels({"labels": {"background": 0, "a": [1], "b": 2, "ignore": 3}})
    assert not found.has_regions
    assert found.foreground == {"a": (1,), "b": (2,)}
    assert (found.values, found.ignore) == ((0, 1, 2), 3)


def test_names_and_values_of_regions() -> None:
    declared = {"background": 0, "core": [2], "whole": [0, 1, 2], "ignore": 3}
    assert foreground_values(declared) == {"core": [2], "whole": [1, 2]}
    assert label_names(declared) == {1: ["whole"], 2: ["core", "whole"]}


def test_gaps_are_taken_where_labels_are_only_trained_on() -> None:
    found = declared_labels(
        {"labels": {"background": 0, "a": 1, "b": 4, "ignore": 5}}, may_have_gaps=True
    )
    assert found.values == (0, 1, 4)
    assert found.ignore == 5
