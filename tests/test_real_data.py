"""Sparse data sets made from real ones, where these are at hand."""

import os
from pathlib import Path

import pytest
from tiny import check_sparse_labels, tree

from nnunet_sparse.dataset_tools.make_dataset import make_dataset
from nnunet_sparse.paths import NnUNetPaths

VARIABLE = "NNSPARSE_REAL_DATA"


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Dataset004_Hippocampus", {"rho": 0.1, "selector": "random"}),
        ("Dataset011_BrainMALF", {"rho": 0.05, "s": 0.5}),
        ("Dataset015_MSLesion", {"rho": 0.2, "selector": "random", "positive_weight": 3}),
        ("Dataset015_MSLesion", {"rho": 0.2, "axis": "sagittal"}),
    ],
)
def test_sparse_labels_of_real_data(
    paths: NnUNetPaths, name: str, options: dict[str, object]
) -> None:
    source = Path(os.environ.get(VARIABLE, "")) / name
    if not os.environ.get(VARIABLE) or not source.is_dir():
        pytest.skip(f"{VARIABLE} names no folder with {name}")
    before = tree(source)
    (paths.raw / name).symlink_to(source)
    result = make_dataset(paths, name, num_processes=2, **options)  # type: ignore[arg-type]
    check_sparse_labels(result, source)
    assert tree(source) == before
