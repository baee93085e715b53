import csv
from pathlib import Path

import numpy as np
import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid
from grid_results import pretend, result

from nnunet_sparse.grid.cells import Training
from nnunet_sparse.grid.results import Result, read_results, target_results, write_results

PHANTOM = TINY.splitlines(keepends=True)[1]
NAMES = ("liver", "tumour", "vessel")
LABELS = {"background": 0, **{name: k for k, name in enumerate(NAMES, 1)}}


def read(folder: Path, labels: str = "", iou: float = 0.5) -> list[Result]:
    grid = write_grid(folder, TINY.replace(PHANTOM, f"  - base: 4\n{labels}"))
    pretend(grid, lambda _: iou, NAMES)
    found = read_results(grid)
    return [r for r in found if r.key == found[0].key]


@pytest.mark.parametrize(
    ("roles", "labels", "rows", "target"),
    [
        ({"target": ["tumour"]}, "", NAMES, "tumour"),
        ({"context": ["liver"]}, "", (*NAMES, "mean"), "mean"),
        ({}, "", (*NAMES, "mean"), "mean"),
        ({"target": ["tumour"]}, "    labels: all\n", (*NAMES, "mean"), "mean"),
        ({}, "    labels: [vessel]\n", ("vessel",), "vessel"),
        ({}, "    labels: [liver, vessel]\n", ("liver", "vessel", "mean"), "mean"),
    ],
)
def test_one_result_of_each_training_is_compared(
    tmp_path: Path,
    make_base: BaseMaker,
    roles: dict[str, list[str]],
    labels: str,
    rows: tuple[str, ...],
    target: str,
) -> None:
    make_base(labels=LABELS, extra={"nnsparse": {"roles": roles}})
    found = read(tmp_path, labels)
    assert tuple(r.label for r in found) == rows
    assert [r.label for r in target_results(found)] == [target]


def test_the_mean_is_that_of_the_targets(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base(labels=LABELS, extra={"nnsparse": {"roles": {"context": ["liver"]}}})
    (mean,) = target_results(read(tmp_path))
    assert (mean.is_mean, mean.counts.shape) == (True, (2, 10, 3))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[0, 7, 5], [0, 0, 0]], True),  # something was predicted, but nowhere where it is
        ([[0, 0, 5], [1, 0, 0]], False),
        ([[0, 7, 0], [0, 0, 0]], False),  # nothing is there
        ([[[0, 0, 5]], [[1, 0, 5]]], False),  # one of two labels was found
        ([[[0, 0, 5]], [[0, 2, 0]]], True),
    ],
)
def test_trainings_that_collapsed(counts: list[list[int]], expected: bool) -> None:
    assert result(counts=np.array(counts)).is_collapsed is expected


def test_a_column_tells_which_trainings_collapsed(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base(labels=LABELS, extra={"nnsparse": {"roles": {"target": ["tumour"]}}})
    grid = write_grid(tmp_path, TINY.replace(PHANTOM, "  - base: 4\n"))

    def iou(training: Training) -> float:
        return 0.0 if training.of.variant.s == 0.5 else 0.5

    pretend(grid, iou, NAMES)
    with write_results(read_results(grid), tmp_path)[0].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["collapsed"] for row in rows if row["s"] == "0.5"] == ["True"] * 3
    assert {row["collapsed"] for row in rows if row["s"] != "0.5"} == {"False"}
    pretend(grid, lambda _: 0.5, NAMES)
    header = write_results(read_results(grid), tmp_path)[0].read_text("utf-8").splitlines()[0]
    assert header.endswith(",versions")
