"""Cells that wait for networks of the same experiment."""

from collections import Counter
from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid.cells import bases, variants
from nnunet_sparse.grid.configuration import Configuration
from nnunet_sparse.grid.jobs import DatasetJob, TrainJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.overview import overview
from nnunet_sparse.grid.preflight import check_experiment
from nnunet_sparse.grid.taught_cells import teacher_name
from nnunet_sparse.report.grid.panels import asked_trainings
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError

ONE = TINY.replace("s: [1/2, 1]", "s: [1]") + "dense: false\n"
ROUNDS = "rounds: {start: 0.1, add: 0.1, count: 3, selectors: [random, entropy]}\n"
SECOND = "  - {configuration: 3d_fullres, planner: SmallPlanner}\n"
BOTH = ONE.replace("rho:", SECOND + "rho:", 1)
FIRST = "PhantomOrgan_rho0.100_s1.000_stratified_seed0"


def datasets(grid: Grid) -> dict[str, DatasetJob]:
    return {job.key: job for job in jobs_of(job_graph(grid), DatasetJob)}


def in_rounds(grid: Grid) -> list[DatasetJob]:
    return [job for job in datasets(grid).values() if job.subject.kind == "round"]


def test_what_each_round_waits_for(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, BOTH.replace("repeats: 1", "repeats: 2") + ROUNDS)
    first, *later = in_rounds(grid)
    assert (first.key, first.inputs, first.teachers) == (FIRST, ("base/PhantomOrgan",), ())
    # two rounds by random, which both ways of training share, and by entropy in either
    names = [job.key.removeprefix(FIRST).rpartition("_")[0] for job in later]
    assert sorted(names) == [
        f"_r{k}_rho0.100_{how}"
        for k in (2, 3)
        for how in ("entropy_2d_x2", "entropy_3d_fullres_x2", "random")
    ]
    before = {job.key: job for job in (first, *later)}
    for job in later:
        source = job.subject.source
        assert source is not None
        assert job.inputs[:2] == ("base/PhantomOrgan", f"dataset/{source.suffix}")
        assert source.suffix in before
        asks = job.subject.variant.selector == "entropy"
        assert job.on_device == asks
        # all repeats of the same way of training, on the data set before
        way = "3d_fullres" if "3d" in job.key else "2d"
        assert [name.split("__")[:2] for name in job.inputs[2:]] == [
            [f"train/{source.suffix}", way]
        ] * (2 * asks)
        trained = {n.split("__")[1] for n in job_graph(grid) if n.startswith(f"train/{job.key}__")}
        assert trained == ({way} if asks else {"2d", "3d_fullres"})


def test_no_training_waits_for_one_of_its_group(tmp_path: Path) -> None:
    """Snakemake cannot ask a cluster for one GPU for both."""
    jobs = job_graph(write_grid(tmp_path, BOTH + ROUNDS + "interpolation: {methods: [network]}\n"))
    groups = {job.name: job.group for job in jobs_of(jobs, TrainJob)}
    before: dict[str, set[str]] = {}
    for name, job in jobs.items():
        before[name] = set().union(*({i} | before[i] for i in job.inputs))
        if name in groups:
            assert groups[name] not in {groups[i] for i in before[name] if i in groups}
    assert set(groups.values()) == {"training", "training1", "training2"}


def test_every_job_comes_after_its_inputs(tmp_path: Path) -> None:
    filling = "interpolation: {methods: [shape, network], teacher: 3d_fullres}\n"
    seen: set[str] = set()
    for name, job in job_graph(write_grid(tmp_path, BOTH + ROUNDS + filling)).items():
        assert set(job.inputs) <= seen, name
        seen.add(name)


def test_the_file_without_rounds_is_what_it_was(tmp_path: Path) -> None:
    """Rounds add jobs, and change none."""
    alone = job_graph(write_grid(tmp_path, BOTH))
    together = job_graph(write_grid(tmp_path, BOTH + ROUNDS))
    assert {name: together[name].inputs for name in alone} == {
        name: job.inputs for name, job in alone.items()
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count: 3", "count: 4"),
        ("[random, entropy]", "[random, clasp_pe, entropy]"),
        ("[random, entropy]", "[random, entropy], s: [1/2, 1]"),
        ("rounds:", "seeds: [0, 1]\nrounds:"),
    ],
)
def test_rounds_grow(tmp_path: Path, old: str, new: str) -> None:
    before = job_graph(write_grid(tmp_path, ONE + ROUNDS))
    after = job_graph(write_grid(tmp_path, ONE + ROUNDS.replace(old, new)))
    assert before.keys() < after.keys()


def test_the_number_of_rounds_is_handed_over(tmp_path: Path) -> None:
    text = ONE + ROUNDS.replace("entropy", "clasp_pe")

    def parameters(text: str) -> set[object]:
        found = [job.subject.variant for job in in_rounds(write_grid(tmp_path, text))]
        return {v.make_selector().parameters["rounds"] for v in found if v.selector == "clasp_pe"}

    # three rounds add slices twice
    assert parameters(text) == {2}
    assert parameters(text.replace("count: 3", "count: 2")) == {1}
    assert parameters(text + "parameters: {clasp_pe: {rounds: 7, pooling: [top, patch]}}\n") == {7}


def test_names_tell_what_a_network_was_trained_with(tmp_path: Path) -> None:
    def last(text: str) -> str:
        return in_rounds(write_grid(tmp_path, text))[-1].key

    text = ONE + ROUNDS
    changes = [("num_epochs: 3", "num_epochs: 4"), ("repeats: 1", "repeats: 2")]
    changes += [("start: 0.1", "start: 0.2"), ("add: 0.1", "add: 0.2")]
    changes += [("add: 0.1", "add: 0.1, first: random")]
    names = {last(text), *(last(text.replace(old, new)) for old, new in changes)}
    assert len(names) == len(changes) + 1
    assert last(text) == last(text.replace("device: cpu", "device: auto"))
    way = Configuration("2d", planner="SmallPlanner")
    assert teacher_name(way, 3).startswith("2d_x3_")


def test_factors_as_elsewhere(tmp_path: Path) -> None:
    more = "scopes: [volume, dataset]\nmin_per_volume: [0, 2]\nseeds: [0, 1]\n"
    found = [job.subject.variant for job in in_rounds(write_grid(tmp_path, ONE + ROUNDS + more))]
    assert Counter((v.scope, v.min_per_volume) for v in found) == {
        # the first round, and two by each selector; for two seeds
        ("volume", 0): 10,
        ("dataset", 0): 10,
        ("dataset", 2): 10,
    }
    for variant in found:
        assert Variant.from_json(variant.to_json()) == variant
        if variant.rounds is not None:
            assert variant.rounds.first.seed == variant.seed
            assert variant.rounds.first.scope == variant.scope
            assert variant.rho == pytest.approx(0.1 * variant.rounds.number)


def test_a_first_round_that_is_a_cell_of_the_grid(tmp_path: Path) -> None:
    text = ONE.replace("rho: [0.2]", "rho: [0.1]").replace("[fixed]", "[stratified]")
    grid = write_grid(tmp_path, text + ROUNDS)
    assert datasets(grid)[FIRST].subject.kind == "sparse"
    kinds = [t.kind for t in asked_trainings(grid) if t.variant.rounds is None]
    assert kinds == ["sparse", "round"]


def test_rounds_alone(tmp_path: Path) -> None:
    text = ONE.replace("rho: [0.2]\n", "") + ROUNDS
    cells = variants(write_grid(tmp_path, text).experiment, bases(write_grid(tmp_path, text))[0])
    assert {cell.kind for cell in cells} == {"round"}


def test_labels_filled_by_networks_of_the_grid(tmp_path: Path) -> None:
    text = BOTH + "interpolation: {methods: [shape, network], min_confidence: 0.9}\n"
    grid = write_grid(tmp_path, text)
    filled = {k: job for k, job in datasets(grid).items() if "_mi_network_" in k}
    sparse = "PhantomOrgan_rho0.200_s1.000_fixed_seed0"
    for way, (name, job) in zip(("2d", "3d_fullres"), filled.items(), strict=True):
        assert f"_mi_network_{way}_x1_" in name
        assert name.endswith("_conf0.9_seed0")
        assert job.subject.variant.value("interpolation") == "network_conf0.9"
        base, source, (train,) = job.inputs[0], job.inputs[1], job.inputs[2:]
        assert (base, source) == ("base/PhantomOrgan", f"dataset/{sparse}")
        assert train.startswith(f"train/{sparse}__{way}__")
    # one teacher for both
    taught = write_grid(tmp_path, text.replace("0.9}", "0.9, teacher: 2d}"))
    (name,) = (name for name in datasets(taught) if "_mi_network_" in name)
    trained = [n for n in job_graph(taught) if n.startswith(f"train/{name}__")]
    assert len(trained) == 2


def test_the_overview_counts_rounds(tmp_path: Path) -> None:
    lines = overview(write_grid(tmp_path, ONE + ROUNDS)).splitlines()
    assert any("6 data sets: 1 sparse, 0 interpolated, 5 in rounds" in line for line in lines)
    # 5 volumes of 16 slices: floor(0.1 * 16 + 0.5) = 2 in each round, floor(3.2 + 0.5) at once
    (row,) = (line for line in lines if line.startswith("    1.000"))
    assert row.split() == ["1.000", "10", "15-20", "30"]


@pytest.mark.parametrize(
    ("rounds", "line", "message"),
    [
        ("{count: 0}", 16, "count must be a whole number from 1 to 100, got 0"),
        ("{start: 0}", 16, "start must be a number above 0, at most 1, got 0"),
        ("{start: .nan}", 16, "start must be a number above 0, at most 1"),
        ("{add: 2}", 16, "add must be a number above 0, at most 1"),
        ("{start: 0.5, add: 0.2, count: 4}", 16, "rounds: after 4 rounds a density of 1.1"),
        ("{begin: 0.5}", 16, "unknown key 'begin' (there are start, add, count"),
        ("{selectors: [entropi]}", 16, "selectors must be a list of some of bald"),
        ("{selectors: []}", 16, "selectors must be a list of some of bald"),
        ("{first: entropy}", 16, "selector entropy asks a network"),
        ("{selectors: [random, bald]}", 16, "bald compares the networks of an ensemble"),
        ("3", 16, "keys and values are expected here, got 3"),
        (
            "{first: ual, selectors: [random]}\nparameters: {ual: {clusters: [2, 3]}}",
            17,
            "the first round has one selector with one set of parameters, ual has several",
        ),
        (
            "{selectors: [single_object]}\nscopes: [dataset]",
            16,
            "single_object has scope volume, which is none of the scopes",
        ),
        ("\n  start: 0.1\n  addd: 0.1", 18, "unknown key 'addd' (did you mean add?"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, rounds: str, line: int, message: str
) -> None:
    with pytest.raises(SparseError) as error:
        write_grid(tmp_path, ONE + f"rounds: {rounds}\n")
    assert str(error.value).startswith(f"{tmp_path / 'tiny.yaml'}, line {line}: {message}")


def test_more_rounds_than_there_are_slices(tmp_path: Path) -> None:
    text = ONE + "rounds: {start: 0.05, add: 0.01, count: 18, selectors: [random]}\n"
    # each round adds a slice at least, and a volume has 16
    with pytest.raises(SparseError, match=r"line 16: .*annotated after round 16: there is no rou"):
        check_experiment(write_grid(tmp_path, text))
    check_experiment(write_grid(tmp_path, text.replace("18", "16")))


@pytest.mark.parametrize(
    ("added", "line", "message"),
    [
        ("{methods: [network], teacher: 3d_fullres}", 16, "teacher is 3d_fullres, and a task is"),
        ("{methods: [shape], teacher: 2d}", 16, "teacher works with network"),
        (
            "{methods: [network]}\nexclude: [{kind: sparse, rho: 0.2}]",
            16,
            "network needs trainings",
        ),
    ],
)
def test_teachers_that_are_not_there(tmp_path: Path, added: str, line: int, message: str) -> None:
    with pytest.raises(SparseError, match=rf"tiny.yaml, line {line}: {message}"):
        job_graph(write_grid(tmp_path, ONE + f"interpolation: {added}\n"))
