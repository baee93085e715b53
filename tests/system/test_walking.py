"""What a user may not read is named, not passed over."""

from collections.abc import Callable
from pathlib import Path

import pytest
from failures import deny
from published_trees import atlas_tree, dbc_tree, lits_tree

from nnunet_sparse.campaign.find_volumes import find_volumes
from nnunet_sparse.dataset_tools.convert.atlas import find_atlas
from nnunet_sparse.dataset_tools.convert.dbc import find_dbc
from nnunet_sparse.dataset_tools.convert.lits17 import find_lits17
from nnunet_sparse.system.walking import files_below, walk

Find = Callable[[Path], object]


def test_files_below(tmp_path: Path) -> None:
    for name in ("b/a.nii", "a.nii.gz", "b/c/B.NII", "b/a.txt", "link/d.nii"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).touch()
    (tmp_path / "x" / "again").symlink_to(tmp_path / "x")
    found = files_below(tmp_path / "x", "*.nii*")
    assert [str(file.relative_to(tmp_path / "x")) for file in found] == [
        "a.nii.gz",
        "b/a.nii",
        "link/d.nii",
    ]


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_no_folder(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=folder):
        list(walk(tmp_path / folder))


@pytest.mark.parametrize(
    ("tree", "find"),
    [
        (lambda folder: lits_tree(folder, range(3)), find_lits17),
        (atlas_tree, find_atlas),
        (dbc_tree, find_dbc),
        (lambda folder: lits_tree(folder, range(3)), lambda f: list(find_volumes([f], 1))),
    ],
    ids=["lits17", "atlas", "dbc", "volumes"],
)
def test_what_cannot_be_read_is_named(
    tree: Callable[[Path], object], find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the data set, or the campaign, would have fewer cases, without a word."""
    source = tmp_path / "source"
    tree(source)
    (source / "more").mkdir()
    deny(monkeypatch, source / "more")
    with pytest.raises(PermissionError, match="more"):
        find(source)
