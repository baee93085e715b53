"""The paper's numbers."""

import pytest

from nnunet_sparse.dataset_tools.convert.paper_split import split_by_patient
from nnunet_sparse.dataset_tools.convert.published_tasks import PUBLISHED_TASKS
from nnunet_sparse.grid.template import template
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
