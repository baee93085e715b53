import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.data.folds import (
    cross_validation,
    equal_folds,
    folds_text,
    is_cross_validation,
)
from nnunet_sparse.data.groups import Grouping
from nnunet_sparse.system.errors import SparseError

CASES = [f"c{i}" for i in range(7)]


def test_every_case_is_validated_once() -> None:
    folds = cross_validation(CASES, 3, None, 0)
    assert sorted(len(fold["val"]) for fold in folds) == [2, 2, 3]
    assert sorted(c for fold in folds for c in fold["val"]) == CASES
    for fold in folds:
        assert sorted([*fold["train"], *fold["val"]]) == CASES
    assert is_cross_validation(folds)
    assert folds == cross_validation(CASES[::-1], 3, None, 0)
    assert folds != cross_validation(CASES, 3, None, 1)
    assert "3 of a cross-validation of 7 annotated volumes" in folds_text(folds)


@given(
    st.dictionaries(st.text("abc", min_size=1), st.sampled_from("uvwxyz"), min_size=1),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_groups_stay_together_and_keep_their_fold(
    of_case: dict[str, str], num_folds: int, seed: int
) -> None:
    grouping, groups = Grouping(of_case), set(of_case.values())
    if len(groups) < num_folds:
        with pytest.raises(SparseError, match=f"there are {len(groups)}"):
            cross_validation(of_case, num_folds, grouping, seed)
        return
    folds = cross_validation(of_case, num_folds, grouping, seed)
    assert is_cross_validation(folds)
    for fold in folds:
        assert fold["val"]
        assert not {of_case[c] for c in fold["val"]} & {of_case[c] for c in fold["train"]}
    before = {c: k for k, fold in enumerate(folds) for c in fold["val"]}
    more = {**of_case, **{f"{c}+": g for c, g in of_case.items()}, "new": "n"}
    grown = cross_validation(more, num_folds, Grouping(more), seed + 1, before)
    for fold, after in zip(folds, grown, strict=True):
        assert {*fold["val"], *(f"{c}+" for c in fold["val"])} == {*after["val"]} - {"new"}


def test_too_few() -> None:
    with pytest.raises(SparseError, match="at least 2 folds, got 1"):
        cross_validation(CASES, 1, None, 0)
    with pytest.raises(SparseError, match="annotation in at least 8 volumes, there are 7"):
        cross_validation(CASES, 8, None, 0)
    grouping = Grouping(dict.fromkeys(CASES, "p"))
    with pytest.raises(SparseError, match="validated in different folds before"):
        cross_validation(CASES, 2, grouping, 0, {"c0": 0, "c1": 1})


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_repeats_are_no_cross_validation(repeats: int) -> None:
    folds = equal_folds(CASES[:5], CASES[5:], repeats)
    assert folds == [{"train": CASES[:5], "val": CASES[5:]}] * repeats
    assert not is_cross_validation(folds)
    assert f"{repeats} equal" in folds_text(folds)
