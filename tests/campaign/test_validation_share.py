import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.campaign.validation_share import split_volumes
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
