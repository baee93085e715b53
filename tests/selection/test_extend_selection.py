"""Slices that are added to a selection."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sparse.data.check_base import CheckedCase
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.selection.extend_selection import extend_selection, given_slices
from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import SeenByNetwork, selector_class, selector_names
from nnunet_sparse.system.errors import SparseError

NAMES = [n for n in selector_names() if not selector_class(n).uses & {"features", "objects"}]


def volumes_of(lengths: dict[str, int]) -> dict[str, CheckedCase]:
    """Volumes of two classes with slices along the first axis."""
    found = {}
    for case_id, length in lengths.items():
        classes = np.random.default_rng(length).random((length, 2)) < 0.4
        one = np.ones(3, bool)
        found[case_id] = CheckedCase(
            Geometry((length, 3, 3), None), (classes.any(axis=1), one, one), (classes, one, one)
        )
    return found


def seen_in(lengths: dict[str, int], round_number: int = 1) -> dict[str, SeenByNetwork]:
    found = {}
    for case_id, length in lengths.items():
        rng = np.random.default_rng([length, round_number])
        columns = rng.random((length, 3))
        found[case_id] = SeenByNetwork(
            rng.random(length),
            rng.random(length),
            columns,
            (columns > 0.5) * 5,
            1.5 * np.arange(length),
            2,
            round_number,
        )
    return found


def first(lengths: dict[str, int], *chosen: tuple[str, tuple[int, ...]]) -> Selection:
    cases = {case_id: CaseSelection(lengths[case_id], slices) for case_id, slices in chosen}
    return Selection("Dataset004_Tiny", Variant(0.2), 0, cases)


def slices(selection: Selection) -> dict[str, set[int]]:
    return {case_id: set(case.slices) for case_id, case in selection.cases.items()}


@settings(max_examples=60)
@given(st.data())
def test_any_rounds_contain_those_before_and_are_deterministic(data: st.DataObject) -> None:
    lengths = {c: data.draw(st.integers(1, 12)) for c in "abc"[: data.draw(st.integers(1, 3))]}
    selection = first(lengths, ("a", (lengths["a"] // 2,)))
    for number in range(1, 4):
        left = sum(lengths.values()) - selection.budget
        if not left:
            return
        scope = data.draw(st.sampled_from(["volume", "dataset"]))
        variant = Variant(
            budget=data.draw(st.integers(1, left)),
            selector=data.draw(st.sampled_from(NAMES)),
            scope=scope,
            seed=data.draw(st.integers(0, 9)),
            min_per_volume=0,
        )
        arguments: dict[str, Any] = {
            "seen": seen_in(lengths, number),
            "network": {"digest": "0" * 16},
        }
        new = extend_selection(selection, variant, volumes_of(lengths), "Tiny", **arguments)
        assert new == extend_selection(selection, variant, volumes_of(lengths), "Tiny", **arguments)
        before, after, added = slices(selection), slices(new), new.rounds[-1]
        assert added.budget == variant.budget == new.budget - selection.budget
        assert all(before[case_id] <= after[case_id] for case_id in before)
        assert all(not before.get(c, set()) & set(found) for c, found in added.slices.items())
        assert new.rounds[:-1] == selection.rounds
        selection = new


def test_shares_refer_to_whole_volumes_and_numbers_to_what_is_left() -> None:
    lengths = {"a": 10, "b": 4}
    selection = first(lengths, ("a", (1, 2, 3)), ("b", (0, 1, 2)))
    share = extend_selection(selection, Variant(0.5, selector="random"), volumes_of(lengths), "T")
    assert {c: len(s) for c, s in share.rounds[0].slices.items()} == {"a": 5, "b": 1}
    each = Variant(slices_per_volume=3, selector="first")
    added = extend_selection(selection, each, volumes_of(lengths), "T").rounds[0].slices
    assert added == {"a": (0, 4, 5), "b": (3,)}
    total = Variant(budget=8, selector="first", scope="dataset")
    assert extend_selection(selection, total, volumes_of(lengths), "T").budget == 14
    with pytest.raises(SparseError, match=r"budget is 9 slices, the 2 volumes .* have 8"):
        extend_selection(selection, Variant(budget=9, selector="first"), volumes_of(lengths), "T")


def test_a_volume_without_slices_may_get_some() -> None:
    lengths = {"a": 3, "b": 3}
    selection = first(lengths, ("a", (0, 1, 2)))
    new = extend_selection(selection, Variant(budget=2, selector="first"), volumes_of(lengths), "T")
    assert slices(new) == {"a": {0, 1, 2}, "b": {0, 1}}


def test_a_volume_of_another_length_is_refused() -> None:
    selection = first({"a": 5}, ("a", (1,)))
    with pytest.raises(SparseError, match="case a of Dataset004_Tiny has 6 slices, it had 5"):
        given_slices(selection, {"a": 6})


def test_rounds_of_one_seed_differ() -> None:
    lengths = {"a": 200}
    selection = first(lengths, ("a", (0,)))
    for _ in range(2):
        variant = Variant(budget=5, selector="random")
        selection = extend_selection(selection, variant, volumes_of(lengths), "T")
    one, two = (round_.slices["a"] for round_ in selection.rounds)
    assert not set(one) & set(two)
