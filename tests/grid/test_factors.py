"""Factors of the grid beside density, volume fraction and selector."""

from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid
from grid_results import pretend

from nnunet_sparse.grid.cells import CellVariant, bases, variants
from nnunet_sparse.grid.grid_command import main
from nnunet_sparse.grid.jobs import (
    DatasetJob,
    FeaturesJob,
    InterpolatorJob,
    ScoreJob,
    job_graph,
    jobs_of,
)
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.overview import overview
from nnunet_sparse.grid.preflight import check_experiment
from nnunet_sparse.grid.results import read_results, write_results
from nnunet_sparse.grid.runner import asked_for
from nnunet_sparse.grid.step_work import Work
from nnunet_sparse.report.grid.panels import AskedTraining, asked_trainings
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError

ALL = (
    TINY.replace("[fixed]", "[fixed, ual]").replace("s: [1/2, 1]", "s: [1]")
    + """\
slices_per_volume: 2
budget: [20, 30]
scopes: [volume, dataset]
min_per_volume: [0, 1]
parameters: {ual: {clusters: [5, 10], coverage: 1}}
mae: [tiny, small]
interpolation: {methods: [correspondence, shape], rho: [0.1], selectors: [ual], preset: full,
                changes: {radius: 8}}
"""
)


def cells_of(grid: Grid) -> list[CellVariant]:
    return variants(grid.experiment, bases(grid)[0])


def names(grid: Grid) -> list[str]:
    return [cell.suffix.removeprefix("PhantomOrgan_") for cell in cells_of(grid)]


def test_amounts_stand_beside_each_other(tmp_path: Path) -> None:
    text = TINY.replace("s: [1/2, 1]", "s: 1") + "dense: false\n"
    more = text + "slices_per_volume: [1, 3]\nbudget: 20\n"
    assert names(write_grid(tmp_path, more)) == [
        "rho0.200_s1.000_fixed_seed0",
        "k1_s1.000_fixed_seed0",
        "k3_s1.000_fixed_seed0",
        "n20_s1.000_fixed_seed0",
    ]
    # the paper's densities are meant where no amount is given
    alone = text.replace("rho: [0.2]\n", "")
    assert len(names(write_grid(tmp_path, alone))) == 5
    assert names(write_grid(tmp_path, alone + "budget: 20\n")) == ["n20_s1.000_fixed_seed0"]


def test_all_combinations_that_mean_something(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, ALL)
    found = names(grid)
    assert len(set(found)) == len(found)
    # dense; 4 amounts x (fixed, and ual with 2 x 2 networks and parameters) x (volume, and
    # dataset with two least numbers); 4 ual x (correspondence, shape and without)
    assert len(found) == 1 + 4 * 5 * 3 + 4 * 3
    assert "n30_s1.000_ual_clusters5_coverage1_small_dataset_min1_seed0" in found
    filled = "rho0.100_s1.000_ual_clusters5_coverage1_mi_correspondence_full_radius8_seed0"
    assert filled in found
    assert filled.replace("correspondence_full_radius8", "shape") in found


def test_networks_are_trained_once_each(tmp_path: Path) -> None:
    jobs = job_graph(write_grid(tmp_path, ALL))
    features = {job.key: job for job in jobs_of(jobs, FeaturesJob)}
    assert list(features) == ["PhantomOrgan", "PhantomOrgan_small"]
    (interpolator,) = jobs_of(jobs, InterpolatorJob)
    assert interpolator.key == "PhantomOrgan_full_radius8"
    for job in jobs_of(jobs, DatasetJob):
        inputs = [name for name in job.inputs if name.startswith(("features", "interpolator"))]
        variant = job.subject.variant
        if variant.interpolation is not None:
            assert inputs == [interpolator.name] * variant.interpolation.uses_network
        elif variant.uses_features:
            assert inputs == [features["PhantomOrgan" + "_small" * (variant.mae == "small")].name]


def test_what_is_asked_of_default_networks_is_what_it_was(tmp_path: Path) -> None:
    """Records of experiments from before there was a choice are still those of their jobs."""
    grid = write_grid(tmp_path, ALL)
    jobs = job_graph(grid)
    tiny, small = jobs["features/PhantomOrgan"], jobs["features/PhantomOrgan_small"]
    assert asked_for(Work(grid), tiny) == {"axis": "auto"}
    assert asked_for(Work(grid), small) == {"axis": "auto", "network": ["small"]}


def test_variants_go_through_cells_and_results(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, ALL)
    pretend(grid)
    asked, results = asked_trainings(grid), read_results(grid)
    assert {cell.variant for cell in asked} == {cell.variant for cell in cells_of(grid)}
    assert {AskedTraining.of_result(result) for result in results} == set(asked)
    for job in jobs_of(job_graph(grid), ScoreJob):
        variant = job.subject.of.variant
        assert Variant.from_json(variant.to_json()) == variant
    header, *rows = write_results(results, tmp_path)[0].read_text("utf-8").splitlines()
    assert header.split(",")[5:18] == [
        *("kind", "rho", "slices_per_volume", "budget", "s", "selector", "parameters", "mae"),
        *("scope", "min_per_volume", "positive_weight", "interpolation", "seed"),
    ]
    assert sum(",ual,clusters=5 coverage=1,small," in row for row in rows) == 4 * 3 + 3


def test_columns_of_an_experiment_without_these_factors(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    pretend(grid)
    header = write_results(read_results(grid), tmp_path)[0].read_text("utf-8").splitlines()[0]
    assert header == (
        "task,configuration,trainer,plans,repeat,kind,rho,s,selector,scope,positive_weight,"
        "interpolation,seed,num_slices,label,batched_IoU,batched_Dice,Dice,IoU,HD95_mm,NSD,"
        "num_cases,training_s,device,key,dataset,selection,versions"
    )


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("slices_per_volume: 0", "line 15: slices_per_volume must be different whole numbers from"),
        ("budget: [3, 3]", "line 15: budget must be different whole numbers from 1 to"),
        ("min_per_volume: 2", "line 15: min_per_volume works with scope dataset"),
        ("mae: [huge]", "line 15: mae must be a list of some of tiny, small"),
        ("mae: [small]", "line 15: mae is for selectors that use features, as ual"),
        ("parameters: {ual: {clusters: 3}}", "line 15: ual is none of the selectors"),
        ("parameters:\n  fixed: {offset: 3}", "line 16: selector 'fixed' has no parameter 'off"),
        (
            "parameters:\n\n  ual: {clusters: x}",
            "line 17: parameter clusters of selector",
        ),
        ("parameters:\n  ual: {clusters: [3, 3]}", "line 16: parameter clusters of ual must have"),
        ("parameters:\n  ual: 3", "line 16: parameters of ual are keys with a value or a list"),
        (
            "interpolation: {methods: [shape, published], preset: full}",
            "line 15: preset works with correspondence",
        ),
        (
            "interpolation:\n  changes:\n    radius: 1\n    radii: 2",
            "line 18: changes has no 'radii', there are num_slices,",
        ),
        ("interpolation:\n  changes:\n    radius: 1.5", "line 17: radius is a whole number, got"),
        ("interpolation:\n  changes:\n    radius: 99", "line 17: radius must lie in [1, 64], got"),
        ("interpolation: {preset: huge}", "line 15: preset must be one of tiny, full, published"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, added: str, message: str) -> None:
    with pytest.raises(SparseError) as error:
        write_grid(tmp_path, TINY + added + "\n")
    assert str(error.value).startswith(f"{tmp_path / 'tiny.yaml'}, {message}")


def test_the_published_method_beside_ours(tmp_path: Path) -> None:
    filling = "interpolation: {methods: [published, correspondence], preset: full, changes: {C}}\n"
    grid = write_grid(tmp_path, TINY + filling.replace("C", "num_steps: 5"))
    assert grid.experiment.interpolation is not None
    ways = grid.experiment.interpolation.interpolations
    # the preset is that of correspondence, the changes are for both
    assert [way.name for way in ways] == [
        "mi_published_numsteps5",
        "mi_correspondence_full_numsteps5",
    ]
    trained = [name for name in job_graph(grid) if name.startswith("interpolator/")]
    assert [name.partition("_")[2] for name in trained] == ["published_numsteps5", "full_numsteps5"]


def test_more_slices_than_there_are(
    tmp_path: Path, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base()
    phantom = TINY.splitlines(keepends=True)[1]
    text = TINY.replace(phantom, "  - base: 4\n").replace("nnunet: nnunet\n", "")
    check_experiment(write_grid(tmp_path, text + "budget: [20]\n"))
    grid = write_grid(tmp_path, text + "budget: [20, 900]\n")
    assert main(["plan", str(grid.file)]) == 2
    said = capsys.readouterr().err
    assert "tiny.yaml, line 14: Tiny_n900_s0.500_fixed_seed0: budget is 900 slices" in said
    least = "budget: [9]\nscopes: [dataset]\nmin_per_volume: [0, 3]\n"
    with pytest.raises(SparseError, match=r"line 16: .*min3_seed0: min_per_volume 3 takes"):
        check_experiment(write_grid(tmp_path, text + least))


def test_the_overview_has_a_column_for_each_amount(tmp_path: Path) -> None:
    lines = overview(write_grid(tmp_path, ALL)).splitlines()
    title = next(i for i, line in enumerate(lines) if "s \\ rho" in line)
    assert lines[title].split() == [
        *("s", "\\", "rho", "0.100", "0.200", "2", "each", "20", "in", "all", "30", "in", "all"),
    ]
    # 5 volumes of 16 slices: floor(1.6 + 0.5) and floor(3.2 + 0.5) of each, and 2 of each
    assert lines[title + 1].split() == ["1.000", "10", "15", "10", "20", "30"]
