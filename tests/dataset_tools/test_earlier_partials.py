"""What killed calls of earlier versions have left is not in the way."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import BaseMaker
from sparse_datasets import make_dataset
from tiny import made, tree

from nnunet_sparse.dataset_tools.make_phantom import make_phantom
from nnunet_sparse.system.locks import try_lock, unlock
from nnunet_sparse.system.paths import NnUNetPaths


@pytest.mark.parametrize(
    "files",
    [
        (),
        ("dataset.json",),
        ("dataset.json", "splits_final.json"),
        ("dataset.json", "splits_final.json", "selection.json", "labelsTr"),
    ],
)
def test_make_dataset(paths: NnUNetPaths, make_base: BaseMaker, files: tuple[str, ...]) -> None:
    make_base()
    folder = made(make_dataset(paths, "4", rho=0.2))
    whole = tree(folder)
    left = paths.raw / ".nnsparse_partial_500"
    folder.rename(left)
    for path in left.iterdir():
        if path.name not in files:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (paths.raw / ".nnsparse_partial_500.lock").touch()
    assert make_dataset(paths, "4", rho=0.2, dataset_id=500).folder == folder
    assert tree(folder) == whole
    assert not list(paths.raw.glob(".*"))


def test_one_that_is_at_work_is_left_alone(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    folder = made(make_dataset(paths, "4", rho=0.2))
    left = paths.raw / ".nnsparse_partial_500"
    folder.rename(left)
    lock = try_lock(paths.raw / ".nnsparse_partial_500.lock")
    assert lock is not None
    assert made(make_dataset(paths, "4", rho=0.2)).name.startswith("Dataset501")
    unlock(lock)
    assert left.exists()


def test_a_phantom_without_its_marker(paths: NnUNetPaths) -> None:
    left, other = (paths.raw / f".nnsparse_partial_50{k}" for k in range(2))
    for folder, name in ((left, "PhantomTree"), (other, "Other")):
        folder.mkdir()
        content = {"name": name, "nnsparse_phantom": {}}
        (folder / "dataset.json").write_text(json.dumps(content))
    name = make_phantom(paths, "tree", num_train=1, num_test=0, shape=(8, 32, 32))
    assert sorted(path.name for path in paths.raw.iterdir()) == [other.name, name]
    assert name == "Dataset500_PhantomTree"


def test_a_replaced_data_set_gets_its_name_back(paths: NnUNetPaths) -> None:
    options = {"num_train": 1, "num_test": 0, "shape": (8, 32, 32)}
    name = make_phantom(paths, "tree", **options)
    folder: Path = paths.raw / name
    before = tree(folder)
    folder.rename(paths.raw / f".nnsparse_old_{name}")
    assert make_phantom(paths, "tree", dataset_id=500, **options) == name
    assert tree(folder) == before
    assert [path.name for path in paths.raw.iterdir()] == [name]
