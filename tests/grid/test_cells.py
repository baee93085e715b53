from collections import Counter
from pathlib import Path

import pytest
from grid_fixtures import write_grid

from nnunet_sparse.grid.cells import (
    Training,
    bases,
    configurations,
    left_out_variants,
    trained_variants,
    variants,
)
from nnunet_sparse.grid.jobs import DatasetJob, TrainJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.overview import overview
from nnunet_sparse.grid.preflight import check_experiment
from nnunet_sparse.system.errors import SparseError

TEXT = """\
nnunet: nnunet
tasks:
  - phantom: {task: organ}
TASK
  - phantom: {task: lesion}
configurations:
  - configuration: 2d
  - configuration: 3d_fullres
WAY
rho: [0.1, 0.2]
s: [1/2, 1]
selectors: [fixed, random]
interpolation: {methods: [shape]}
repeats: 1
ALL
"""


def read(folder: Path, task: str = "", way: str = "", every: str = "") -> Grid:
    text = TEXT.replace("TASK\n", task).replace("WAY\n", way).replace("ALL\n", every)
    return write_grid(folder, text)


def trained(grid: Grid, task: str, configuration: str) -> list[Training]:
    return [
        job.subject
        for job in jobs_of(job_graph(grid), TrainJob)
        if job.subject.of.base.suffix == f"Phantom{task}"
        and job.subject.configuration.configuration == configuration
    ]


def kinds(trainings: list[Training]) -> dict[str, int]:
    return dict(Counter(training.of.kind for training in trainings))


def amounts(trainings: list[Training]) -> list[tuple[object, ...]]:
    cells = {(t.of.kind, t.of.variant.rho, t.of.variant.s) for t in trainings}
    return sorted(cell for cell in cells if cell[0] != "dense")


# 2 densities x 2 fractions x 2 selectors; interpolated for s = 1
FULL = {"dense": 1, "sparse": 8, "interpolated": 4}


def test_nothing_is_left_out_by_default(tmp_path: Path) -> None:
    grid = read(tmp_path)
    for base in bases(grid):
        for way, _ in configurations(grid, base):
            assert left_out_variants(grid.experiment, base, way) == []
            assert trained_variants(grid.experiment, base, way) == variants(grid.experiment, base)


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        ("{rho: 0.1}", {"dense": 1, "sparse": 4, "interpolated": 2}),
        ("{rho: 0.1, kind: interpolated}", FULL | {"interpolated": 2}),
        ("{kind: interpolated, selectors: random}", FULL | {"interpolated": 2}),
        ("{methods: shape}", {"dense": 1, "sparse": 8}),
        ("{s: 1/2, selectors: [fixed]}", FULL | {"sparse": 6}),
        ("{rho: [0.1, 0.2], kind: sparse}", {"dense": 1, "interpolated": 4}),
    ],
)
def test_what_is_excluded_is_not_trained(
    tmp_path: Path, excluded: str, expected: dict[str, int]
) -> None:
    grid = read(tmp_path, task=f"    exclude:\n      - {excluded}\n")
    check_experiment(grid)
    assert kinds(trained(grid, "Organ", "2d")) == expected
    assert kinds(trained(grid, "Organ", "3d_fullres")) == expected
    assert kinds(trained(grid, "Lesion", "2d")) == FULL
    (organ, _) = bases(grid)
    way = grid.experiment.configurations[0]
    left_out = Counter(cell.kind for cell in left_out_variants(grid.experiment, organ, way))
    assert {
        kind: FULL[kind] - left_out[kind] for kind in FULL if FULL[kind] > left_out[kind]
    } == expected


def test_one_way_of_training_may_lack_cells(tmp_path: Path) -> None:
    grid = read(tmp_path, every="exclude: [{configuration: 3d_fullres, rho: 0.1}]\n")
    left = {"dense": 1, "sparse": 4, "interpolated": 2}
    for task in ("Organ", "Lesion"):
        assert kinds(trained(grid, task, "2d")) == FULL
        assert kinds(trained(grid, task, "3d_fullres")) == left
    # 2d needs all data sets
    assert len(jobs_of(job_graph(grid), DatasetJob)) == 2 * 13
    text = overview(grid)
    assert "  13 x 1 trainings: 2d SparseTrainer (nnsparsePlans)\n" in text
    said = "  7 x 1 trainings: 3d_fullres SparseTrainer (nnsparsePlans), 6 excluded\n"
    assert said in text


def test_data_sets_without_training_are_made_if_they_are_interpolated(tmp_path: Path) -> None:
    grid = read(tmp_path, every="exclude: [{kind: sparse, s: 1}, {kind: sparse, rho: 0.1}]\n")
    jobs = job_graph(grid)
    organ = [job.key for job in jobs_of(jobs, DatasetJob) if "Organ" in job.key]
    # dense, 2 sparse ones, 4 interpolated ones and what of them is interpolated
    assert len(organ) == 1 + 2 + 4 + 4
    assert kinds(trained(grid, "Organ", "2d")) == {"dense": 1, "sparse": 2, "interpolated": 4}
    seen: set[str] = set()
    for name, job in jobs.items():
        assert set(job.inputs) <= seen, name
        seen.add(name)


def test_partners_are_trained_for_what_is_interpolated(tmp_path: Path) -> None:
    weighted = "    positive_weight: 3\n"
    # a weight holds for every selector: 2 densities x 2 selectors
    assert kinds(trained(read(tmp_path, weighted), "Organ", "2d")) == FULL | {"partner": 4}
    for excluded in ("kind: interpolated, rho: 0.1", "rho: 0.1"):
        grid = read(tmp_path, f"{weighted}    exclude: [{{{excluded}}}]\n")
        found = kinds(trained(grid, "Organ", "2d"))
        assert (found["interpolated"], found["partner"]) == (2, 2)


def test_densities_and_fractions_of_a_task_or_of_a_way(tmp_path: Path) -> None:
    own = "    rho: [0.1, 0.4]\n    s: 1\n"
    grid = read(tmp_path, own, "    rho: [0.2]\n")
    assert amounts(trained(grid, "Organ", "2d")) == [
        ("interpolated", 0.1, 1.0),
        ("interpolated", 0.4, 1.0),
        ("sparse", 0.1, 1.0),
        ("sparse", 0.4, 1.0),
    ]
    assert amounts(trained(grid, "Organ", "3d_fullres")) == [
        ("interpolated", 0.2, 1.0),
        ("sparse", 0.2, 1.0),
    ]
    assert amounts(trained(grid, "Lesion", "3d_fullres")) == [
        ("interpolated", 0.2, 1.0),
        ("sparse", 0.2, 0.5),
        ("sparse", 0.2, 1.0),
    ]
    # what the experiment has besides is left out, not missing
    organ, _ = bases(grid)
    left_out = left_out_variants(grid.experiment, organ, grid.experiment.configurations[0])
    assert {(c.kind, c.variant.rho, c.variant.s) for c in left_out} == {
        ("interpolated", 0.2, 1.0),
        ("sparse", 0.2, 1.0),
        ("sparse", 0.2, 0.5),
        ("sparse", 0.1, 0.5),
    }


def test_own_densities_can_be_excluded_too(tmp_path: Path) -> None:
    own = "    rho: [0.1, 0.4]\n    s: 1\n    exclude: [{configuration: 3d_fullres, rho: 0.4}]\n"
    grid = read(tmp_path, own)
    check_experiment(grid)
    organ, _ = bases(grid)
    two, three = (
        {(c.kind, c.variant.rho) for c in left_out_variants(grid.experiment, organ, way)}
        for way in grid.experiment.configurations
    )
    # half of the volumes with 0.1 is left out as well
    assert two == {("sparse", 0.1), ("sparse", 0.2), ("interpolated", 0.2)}
    assert three - two == {("sparse", 0.4), ("interpolated", 0.4)}


def test_interpolation_stays_where_a_task_has_its_density(tmp_path: Path) -> None:
    grid = read(tmp_path, "    rho: [0.1]\n", every="")
    text = grid.file.read_text("utf-8").replace("[shape]}", "[shape], rho: [0.1, 0.2]}")
    grid = write_grid(tmp_path, text)
    assert kinds(trained(grid, "Organ", "2d")) == {"dense": 1, "sparse": 4, "interpolated": 2}
    assert kinds(trained(grid, "Lesion", "2d")) == FULL


@pytest.mark.parametrize(
    ("task", "every", "message"),
    [
        ("    exclude: [{rho: 0.3}]\n", "", "line 4: exclude: no cell has rho 0.3"),
        (
            "",
            "exclude:\n  - {rho: 0.1}\n  - {trainer: Other, selectors: [fixed, random]}\n",
            "line 15: exclude: no cell has trainer Other, selectors fixed, random",
        ),
        ("    exclude: [{rho: [0.1, 0.3]}]\n", "", "line 4: exclude: no cell has rho 0.3"),
        ("    exclude: [{budget: 3}]\n", "", "line 4: exclude: no cell has budget 3"),
        ("    exclude: [{kind: dense}]\n", "", "line 4: kind must be one of sparse, interpolated"),
        ("    exclude: [{rhos: 0.1}]\n", "", "line 4: unknown key 'rhos' (did you mean rho?"),
        ("    exclude: [{}]\n", "", "line 4: exclude names nothing; there are configuration,"),
        ("    exclude: {rho: 0.1}\n", "", "line 4: exclude must be a list"),
        ("    rho: []\n", "", "line 4: rho must be a list of different densities"),
        ("", "collapsed: drop\n", "line 13: collapsed must be one of omit, include"),
        ("", "dense: false\nexclude: [{configuration: 2d}]\n", "line 6: nothing of PhantomOrgan"),
    ],
)
def test_exclusions_that_are_wrong_are_named_with_their_line(
    tmp_path: Path, task: str, every: str, message: str
) -> None:
    with pytest.raises(SparseError) as error:
        check_experiment(read(tmp_path, task, every=every))
    assert str(error.value).startswith(f"{tmp_path / 'tiny.yaml'}, {message}")


def test_a_task_of_which_nothing_is_left(tmp_path: Path) -> None:
    every = "    exclude: [{rho: [0.1, 0.2]}]\n"
    with pytest.raises(SparseError, match=r"line 3: nothing is left of PhantomOrgan"):
        job_graph(read(tmp_path, every, every="dense: false\n"))


def test_a_check_beside_nothing(tmp_path: Path) -> None:
    check_experiment(read(tmp_path, way="    extra: true\n"))
    text = TEXT.replace("TASK\n", "").replace("WAY\n", "    extra: true\n").replace("ALL\n", "")
    alone = text.replace("  - configuration: 2d\n", "")
    with pytest.raises(SparseError, match=r"line 7: every way of training is extra"):
        check_experiment(write_grid(tmp_path, alone))
