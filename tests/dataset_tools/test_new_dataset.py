"""Data sets get IDs of their own, and killed calls go on under theirs."""

from contextlib import suppress
from pathlib import Path

import pytest

from nnunet_sparse.dataset_tools.new_dataset import (
    DatasetRequest,
    dataset_lock,
    new_dataset,
    unfinished_ids,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


def begun(paths: NnUNetPaths, name: str, dataset_id: int | None = None, content: int = 0) -> Path:
    """Unfinished folder that an interrupted call leaves."""
    request = DatasetRequest(name, {"content": content})
    with (
        suppress(KeyboardInterrupt),
        dataset_lock(paths.raw, name),
        new_dataset(
            paths, request, dataset_id=dataset_id, replaced=None, belongs=lambda _: False
        ) as (folder, _),
    ):
        raise KeyboardInterrupt
    return folder


def test_first_free_id(paths: NnUNetPaths) -> None:
    (paths.results / "Dataset500_A").mkdir()
    assert [begun(paths, name).name[-3:] for name in "AB"] == ["501", "502"]
    assert begun(paths, "C", 7) == paths.raw / ".nnsparse_partial_007"
    with pytest.raises(SparseError, match="ID 7 is taken by an unfinished data set"):
        begun(paths, "D", 7)


def test_low_ids_when_the_high_ones_are_taken(paths: NnUNetPaths) -> None:
    for i in range(500, 1000):
        (paths.raw / f"Dataset{i}_A").mkdir()
    assert begun(paths, "B").name[-3:] == "001"
    assert unfinished_ids(paths.raw, "B") == {1}


def test_what_is_gone_on_with(paths: NnUNetPaths) -> None:
    (begun(paths, "A") / "file").touch()
    other = begun(paths, "B")
    assert (begun(paths, "A") / "file").exists()
    assert not (begun(paths, "A", content=1) / "file").exists()
    assert begun(paths, "A", 9, content=1).name[-3:] == "009"
    assert sorted(paths.raw.glob(".*")) == [paths.raw / ".nnsparse_partial_009", other]


def test_folders_in_which_nothing_was_written_are_taken_over(paths: NnUNetPaths) -> None:
    (paths.raw / ".nnsparse_partial_500").mkdir()
    (paths.raw / ".nnsparse_partial_501" / ".nnsparse_abcdefgh").mkdir(parents=True)
    (paths.raw / ".nnsparse_partial_502").mkdir()
    (paths.raw / ".nnsparse_partial_502" / "dataset.json").touch()
    assert begun(paths, "A").name[-3:] == "500"
    assert sorted(path.name for path in paths.raw.iterdir()) == [
        ".nnsparse_partial_500",
        ".nnsparse_partial_502",
    ]
