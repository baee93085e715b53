import json
from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid
from grid_results import pretend, result
from tiny import array

from nnunet_sparse.data.annotation_effort import AnnotationCost
from nnunet_sparse.grid.job_records import GridFolder, Record
from nnunet_sparse.grid.jobs import DatasetJob, job_graph, jobs_of
from nnunet_sparse.grid.results import read_results
from nnunet_sparse.report.grid.annotation_cost import annotation_hours, read_cost
from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.system.errors import SparseError

GRID = """\
nnunet: nnunet
tasks:
  - base: 4
configurations:
  - configuration: 2d
rho: [1]
s: [1]
selectors: [random]
dense: false
"""


def test_data_sets_that_are_gone_are_left_out(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, TINY + "interpolation: {methods: [shape]}\n")
    pretend(grid)
    assert annotation_hours(grid, read_results(grid), AnnotationCost(), 1) == {}


def test_earlier_counts_are_read_as_long_as_they_do(tmp_path: Path, make_base: BaseMaker) -> None:
    base = make_base()
    grid = write_grid(tmp_path, GRID)
    (job,) = jobs_of(job_graph(grid), DatasetJob)
    name = f"Dataset600_{job.key}"
    cases = {file.name.partition(".")[0]: file for file in sorted((base / "labelsTr").iterdir())}
    numbers = {case: len(array(file)) for case, file in cases.items()}
    chosen = {case: CaseSelection(n, tuple(range(n))) for case, n in numbers.items()}
    selection = Selection(base.name, job.subject.variant, 0, chosen)
    (grid.paths.raw / name).mkdir()
    (grid.paths.raw / name / "selection.json").write_text(json.dumps(selection.to_json()))
    folder = GridFolder(grid.folder)
    folder.write(job.name, Record(job.name, {}, {}, 1.0, {"dataset": name}))
    record = folder.read(job.name)
    assert record is not None
    kept = folder.path / "effort" / f"{job.key}.json"
    kept.parent.mkdir()
    counts = {"volumes": 1, "empty": 0, "slices": 3600, "objects": 0}
    kept.write_text(json.dumps({"run": record.run, "effort": counts}))

    def hours(**cost: float) -> float:
        return annotation_hours(grid, [result(dataset=name)], AnnotationCost(**cost), 1)[name]

    assert hours(seconds_per_slice=1) == 1
    # distances are not among them: the data set is looked at
    found = hours(seconds_per_slice=3600, neighbour_saving=1)
    again = json.loads(kept.read_text())["effort"]
    assert again["volumes"] == len(cases)
    assert sum(numbers.values()) == again["empty"] + again["slices"]
    # every slice shows objects, and all but the first one of a volume are beside another
    assert again["distances"] == [again["slices"] - len(cases)]
    assert found == len(cases)


def test_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cost.yaml"
    file.write_text("seconds_per_slice: 30\nseconds_per_volume: 60.5\n")
    assert read_cost(file) == AnnotationCost(0, 30, 0, 60.5)
    file.write_text("neighbour_saving: 1.5\n")
    with pytest.raises(SparseError, match="line 1: neighbour_saving must be a number from 0 to 1"):
        read_cost(file)
    file.write_text("seconds_per_slice: -1\n")
    with pytest.raises(SparseError, match="line 1: seconds_per_slice must be a number of at leas"):
        read_cost(file)
    file.write_text("second_per_slice: 1\n")
    with pytest.raises(SparseError, match="did you mean seconds_per_slice"):
        read_cost(file)
