"""Sparse data sets made from real ones, where these are at hand."""

import csv
import os
from pathlib import Path

import pytest
from sparse_datasets import make_dataset
from tiny import check_sparse_labels, tree

from nnunet_sparse.report.interpolation.quality_command import main as interpolation_quality
from nnunet_sparse.system.paths import NnUNetPaths

VARIABLE = "NNSPARSE_REAL_DATA"


def real_data(name: str) -> Path:
    """Folder of a real data set; without it the test is skipped."""
    source = Path(os.environ.get(VARIABLE, "")) / name
    if not os.environ.get(VARIABLE) or not source.is_dir():
        pytest.skip(f"{VARIABLE} names no folder with {name}")
    return source


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
    source = real_data(name)
    before = tree(source)
    (paths.raw / name).symlink_to(source)
    result = make_dataset(paths, name, num_processes=2, **options)
    check_sparse_labels(result, source)
    assert tree(source) == before


@pytest.mark.slow
@pytest.mark.real_data
def test_correspondence_is_better_than_what_needs_no_network(
    paths: NnUNetPaths, tmp_path: Path
) -> None:
    name = "Dataset015_MSLesion"
    (paths.raw / name).symlink_to(real_data(name))
    argv = f"-d 15 --rho 0.1 --val 1 --test 0 --change num_steps=60 -np 1 -o {tmp_path / 'report'}"
    assert interpolation_quality([*argv.split(), "-device", "cpu"]) == 0
    with (tmp_path / "report" / "quality.csv").open(encoding="utf-8", newline="") as stream:
        found = {row["method"]: float(row["propagated"]) for row in csv.DictReader(stream)}
    for way in ("correspondence_numsteps60", "correspondence_oneway_numsteps60"):
        assert found[way] > 1.2 * max(found["shape"], found["nearest"])
