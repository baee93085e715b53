import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.campaign.validation_share import KeptSplit, fold_volumes, split_volumes
from nnunet_sparse.data.folds import is_cross_validation
from nnunet_sparse.data.groups import Grouping
from nnunet_sparse.system.errors import SparseError

NEW: dict[str, list[str]] = {"train": [], "val": []}
CASES = [f"c{i:02d}" for i in range(20)]


@pytest.mark.parametrize(("share", "count"), [(0.2, 4), (0.01, 1), (3, 3), (19, 19)])
def test_size(share: float, count: int) -> None:
    parts = split_volumes(CASES, share, 0, NEW)
    assert len(parts["val"]) == count
    assert sorted(parts["train"] + parts["val"]) == CASES


@given(st.integers(2, 20), st.integers(0, 20), st.floats(0.05, 0.9), st.integers(0, 5))
def test_volumes_keep_their_part(first: int, more: int, share: float, seed: int) -> None:
    before = split_volumes(CASES[:first], min(share, 0.5), seed, NEW)
    after = split_volumes(CASES[: first + more], share, seed + 1, before)
    assert set(before["val"]) <= set(after["val"])
    assert set(before["train"]) <= set(after["train"])


def test_another_seed_is_another_choice() -> None:
    choices = {tuple(split_volumes(CASES, 0.2, seed, NEW)["val"]) for seed in range(5)}
    assert len(choices) > 1


@pytest.mark.parametrize(
    ("cases", "share", "before", "message"),
    [
        (["a"], 0.2, NEW, "needs at least 2"),
        (["a", "b"], 2, NEW, "no volume is left to train on"),
        (["a", "b"], 0.5, {"train": ["a", "b"], "val": []}, "no volume is left to validate on"),
        (["a", "b"], 0, NEW, "val must be a number of volumes"),
        (["a", "b"], 1.5, NEW, "val must be a number of volumes"),
    ],
)
def test_refusals(
    cases: list[str], share: float, before: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(SparseError, match=message):
        split_volumes(cases, share, 0, before)


PATIENTS = st.dictionaries(st.sampled_from(CASES), st.sampled_from("uvwxyz"), min_size=2)


@given(PATIENTS, PATIENTS, st.floats(0.05, 0.5), st.integers(0, 3))
def test_groups_are_on_one_side_in_every_import(
    first: dict[str, str], more: dict[str, str], share: float, seed: int
) -> None:
    of_case = {**more, **first}
    groups = Grouping(of_case)
    try:
        before = split_volumes(sorted(first), share, seed, NEW, groups)
    except SparseError:  # one patient
        assert len(set(first.values())) == 1
        return
    after = split_volumes(sorted(of_case), share, seed + 1, before, groups)
    for parts in (before, after):
        assert not {of_case[c] for c in parts["train"]} & {of_case[c] for c in parts["val"]}
    assert set(before["val"]) <= set(after["val"])
    assert set(before["train"]) <= set(after["train"])


def test_what_is_kept(tmp_path: Path) -> None:
    folds = fold_volumes(CASES[:6], 3, 0, KeptSplit())
    kept = KeptSplit().with_cross_validation(folds).with_equal_folds({"train": ["a"], "val": ["b"]})
    kept = replace(kept, groups=Grouping({"a": "p"}, "^."))
    (tmp_path / "split.json").write_text(json.dumps(kept.to_json()), encoding="utf-8")
    assert KeptSplit.read(tmp_path) == kept
    assert KeptSplit().to_json() == {"train": [], "val": []}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"train": [], "val": 3}',
        '{"train": [], "val": [], "folds": 3}',
        '{"train": [], "val": [], "folds": {"x": {}}}',
        '{"train": [], "val": [], "folds": {"2": {"a": 2}}}',
        '{"train": [], "val": [], "groups": 3}',
    ],
)
def test_damaged_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text, encoding="utf-8")
    with pytest.raises(SparseError, match=r"split\.json"):
        KeptSplit.read(tmp_path)


def test_volumes_keep_their_fold() -> None:
    """Also that of a patient whose other volumes were annotated then."""
    groups = Grouping({"a": "a", "b": "b", "x1": "x", "x2": "x", "d": "d"})
    before = KeptSplit(groups=groups)
    first = fold_volumes(["a", "b", "x1"], 3, 0, before)
    (of_x,) = (k for k, fold in enumerate(first) if fold["val"] == ["x1"])
    after = fold_volumes(["a", "b", "x2", "d"], 3, 1, before.with_cross_validation(first))
    assert is_cross_validation(after)
    assert "x2" in after[of_x]["val"]
    for fold, grown in zip(first, after, strict=True):
        assert set(fold["val"]) - {"x1"} <= set(grown["val"])
    assert sorted(c for fold in after for c in fold["val"]) == ["a", "b", "d", "x2"]
