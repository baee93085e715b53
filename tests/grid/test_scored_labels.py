from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid.cells import bases
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.overview import overview
from nnunet_sparse.grid.preflight import check_experiment
from nnunet_sparse.grid.scored_labels import counted_labels, labels_of, targets
from nnunet_sparse.system.errors import SparseError

PHANTOM = TINY.splitlines(keepends=True)[1]
LABELS = {"background": 0, "liver": 1, "tumour": 2, "vessel": 3}


def counted(grid: Grid) -> list[str]:
    (base,) = bases(grid)
    return counted_labels(grid, base, labels_of(grid, base))


def on_base(folder: Path, task: str = "") -> Grid:
    return write_grid(folder, TINY.replace(PHANTOM, f"  - base: 4\n{task}"))


@pytest.mark.parametrize(
    ("roles", "task", "expected"),
    [
        ({}, "", ["liver", "tumour", "vessel"]),
        ({"target": ["tumour"]}, "", ["tumour"]),
        ({"context": ["liver"]}, "", ["tumour", "vessel"]),
        ({"target": ["tumour"]}, "    labels: liver\n", ["liver"]),
        ({"target": ["tumour"]}, "    labels: all\n", ["liver", "tumour", "vessel"]),
    ],
)
def test_roles_decide_unless_the_file_does(
    tmp_path: Path,
    make_base: BaseMaker,
    roles: dict[str, list[str]],
    task: str,
    expected: list[str],
) -> None:
    make_base(labels=LABELS, extra={"nnsparse": {"roles": roles}})
    grid = on_base(tmp_path, task)
    check_experiment(grid)
    assert counted(grid) == expected


def test_a_label_may_be_called_all(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base(labels={"background": 0, "all": 1, "some": 2})
    grid = on_base(tmp_path, "    labels: all\n")
    check_experiment(grid)
    assert counted(grid) == ["all"]


def test_regions_have_no_roles(tmp_path: Path, make_base: BaseMaker) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": [2]}
    make_base(labels=labels, extra={"nnsparse": {"roles": {"target": ["core"]}}})
    assert counted(on_base(tmp_path)) == ["whole", "core"]


def test_a_phantom_that_has_not_been_made_has_its_roles(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, TINY.replace("organ", "lesion"))
    assert targets(grid, bases(grid)[0]) == ("tumour",)
    assert "scored on tumour: the target, by the roles in dataset.json" in overview(grid)
    assert "scored on breast\n" in overview(write_grid(tmp_path))


def test_roles_that_contradict_each_other(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base(labels=LABELS, extra={"nnsparse": {"roles": {"target": ["lung"]}}})
    with pytest.raises(
        SparseError, match=r"line 2: Dataset004_Tiny/dataset.json: role target: .* 'lung'"
    ):
        check_experiment(on_base(tmp_path))
