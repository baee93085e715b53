"""What a network predicted on slices, kept in files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_sparse.campaign.predicted_slices import PredictedSlices, as_levels, ranks_of
from nnunet_sparse.system.errors import SparseError

FOUND = PredictedSlices(
    np.array([1, 4]),
    np.arange(12, dtype=np.uint8).reshape(2, 2, 3),
    np.full((2, 2, 3), 9, np.uint8),
    np.array([0.5, 0.25]),
    np.array([3, 7]),
    40,
)


def test_there_and_back(tmp_path: Path) -> None:
    FOUND.write(tmp_path / "round2" / "a.npz", tmp_path)
    again = PredictedSlices.read(tmp_path / "round2" / "a.npz", 5)
    for name, value in vars(FOUND).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert (again.index_of(4), again.index_of(2)) == (1, None)
    assert [path.name for path in tmp_path.iterdir()] == ["round2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"slices": np.array([1, 9])},
        {"slices": np.array([1])},
        {"label": np.zeros((2, 6), np.uint8)},
        {"uncertainty": np.zeros((2, 3, 2), np.uint8)},
        {"rank": np.array([None, 3], dtype=object)},
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    file = tmp_path / "a.npz"
    with file.open("wb") as stream:
        np.savez(stream, **vars(replace(FOUND, **changes)))
    with pytest.raises(SparseError, match=r"a\.npz, what the network predicted .* is missing or"):
        PredictedSlices.read(file, 5)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "a.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SparseError, match=r"a\.npz, what the network predicted"):
        PredictedSlices.read(file, 5)


def test_levels_are_shares_of_the_largest_entropy() -> None:
    assert as_levels(np.array([0, np.log(3), np.log(3) / 3, 9]), 3).tolist() == [0, 255, 85, 255]


def test_ranks_count_free_slices_only() -> None:
    scores = {"a": np.array([0.9, 0.5, 0.1]), "b": np.array([0.7, 0.5])}
    free = {"a": np.array([False, True, True]), "b": np.array([True, True])}
    ranks = ranks_of(scores, free)
    assert ranks["a"][1:].tolist() == [2, 4]
    assert ranks["b"].tolist() == [1, 2]
