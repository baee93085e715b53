"""The paper's numbers."""

import pytest

from nnunet_sparse.dataset_tools.convert.paper_split import SplitSizes, split_by_patient
from nnunet_sparse.dataset_tools.convert.published_tasks import PUBLISHED_TASKS
from nnunet_sparse.grid.template import template
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.paper_tasks import TASKS as PLANNED


@pytest.mark.parametrize(
    ("key", "planned"),
    [("lits17", "LiTS17"), ("dbc_breast", "DBC"), ("dbc_fgt", "DBC"), ("atlas", "ATLAS")],
)
def test_tasks_are_those_that_the_planners_and_grids_know(key: str, planned: str) -> None:
    task, plan = PUBLISHED_TASKS[key], PLANNED[planned]
    assert task.spacing_mm == plan.spacing
    assert task.size[1:] == plan.sizes[2].patch_size
    assert f"PaperPlanner{planned}" in template("paper", [f"Dataset500_{task.name}"])


def test_split_sizes_of_the_paper() -> None:
    totals = {key: task.split.total for key, task in PUBLISHED_TASKS.items()}
    assert totals == {"lits17": 131, "dbc_breast": 100, "dbc_fgt": 100, "atlas": 655}
    sizes = PUBLISHED_TASKS["lits17"].split
    split = split_by_patient({f"c{k:03d}": f"p{k}" for k in range(131)}, sizes, 0)
    assert (len(split.train), len(split.val), len(split.test)) == (96, 10, 25)
    assert len({*split.train, *split.val, *split.test}) == 131


# test: n * 25 / 131, val: n * 10 / 131, rounded
@pytest.mark.parametrize(
    ("num_cases", "expected"),
    [(131, (96, 10, 25)), (3, (1, 1, 1)), (20, (14, 2, 4)), (10, (7, 1, 2)), (262, (192, 20, 50))],
)
def test_split_in_the_papers_proportions(num_cases: int, expected: tuple[int, int, int]) -> None:
    assert SplitSizes(96, 10, 25).scaled(num_cases) == SplitSizes(*expected)


def test_split_is_seeded_and_keeps_patients_together() -> None:
    patients = {f"c{k:02d}": f"p{k // 3}" for k in range(30)}
    sizes = SplitSizes(20, 4, 6)
    split = split_by_patient(patients, sizes, 1)
    assert split == split_by_patient(dict(reversed(patients.items())), sizes, 1)
    assert split != split_by_patient(patients, sizes, 2)
    owners = [{patients[c] for c in part} for part in (split.train, split.val, split.test)]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 10
    assert (len(split.val), len(split.test)) == (6, 6)  # whole patients of three cases


def test_too_few_cases_or_patients() -> None:
    with pytest.raises(SparseError, match="2 cases are too few"):
        SplitSizes(96, 10, 25).scaled(2)
    with pytest.raises(SparseError, match="2 patients are too few"):
        split_by_patient({"a": "p", "b": "p", "c": "q"}, SplitSizes(1, 1, 1), 0)
