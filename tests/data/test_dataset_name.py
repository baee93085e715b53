import pytest

from nnunet_sparse.data.dataset_name import find_dataset, parse_dataset_name
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


def test_parse() -> None:
    assert parse_dataset_name("Dataset004_A_b") == (4, "A_b")
    for name in ("Dataset4_A", "Dataset004", "dataset004_A", "Dataset0004_A"):
        with pytest.raises(SparseError, match=name):
            parse_dataset_name(name)


def test_find(paths: NnUNetPaths) -> None:
    for name in ("Dataset004_A", "Dataset005_B", "Dataset005_C"):
        (paths.raw / name).mkdir()
    assert {find_dataset(paths, n) for n in ("4", "004", "Dataset004_A")} == {"Dataset004_A"}
    with pytest.raises(SparseError, match="several data sets: Dataset005_B, Dataset005_C"):
        find_dataset(paths, "5")
    with pytest.raises(SparseError, match=r"no data set '²'"):
        find_dataset(paths, "²")
