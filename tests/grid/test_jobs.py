from collections import Counter
from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid.cells import bases, variants
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.system.errors import SparseError

PAPER = """\
nnunet: nnunet
tasks:
  - base: 4
    positive_weight: 3
configurations:
  - configuration: 2d
  - configuration: 3d_fullres
interpolation:
  s: 1
"""


@pytest.fixture
def paper(tmp_path: Path, make_base: BaseMaker) -> Grid:
    make_base()
    return write_grid(tmp_path, PAPER)


def test_the_papers_grid(paper: Grid) -> None:
    cells = variants(paper.experiment, bases(paper)[0])
    kinds = Counter(cell.kind for cell in cells)
    # 5 densities x 4 fractions x 3 selectors; slices chosen with another weight are none of these
    assert kinds == {"dense": 1, "sparse": 60, "interpolated": 15, "partner": 15}
    assert {cell.variant.positive_weight for cell in cells if cell.kind == "partner"} == {3}
    assert len({cell.suffix for cell in cells}) == len(cells)
    counts = Counter(job.step for job in job_graph(paper).values())
    assert counts == {
        "base": 1,
        "features": 1,
        "interpolator": 1,
        "dataset": 91,
        "prepare": 91,
        **dict.fromkeys(("train", "predict", "score"), 91 * 2 * 3),
    }


def test_every_input_comes_before(paper: Grid) -> None:
    seen: set[str] = set()
    for name, job in job_graph(paper).items():
        assert set(job.inputs) <= seen, name
        seen.add(name)


def test_what_jobs_wait_for(paper: Grid) -> None:
    jobs = job_graph(paper)
    prefix = "Tiny_rho0.100_s1.000_"
    ual = f"dataset/{prefix}ual_seed0"
    assert jobs[ual].inputs == ("base/Tiny", "features/Tiny")
    weighted = f"{prefix}ual_pw3"
    assert jobs[f"dataset/{weighted}_seed0"].inputs == ("base/Tiny", "features/Tiny")
    assert jobs[f"dataset/{weighted}_mi_correspondence_seed0"].inputs == (
        "base/Tiny",
        f"dataset/{weighted}_seed0",
        "interpolator/Tiny",
    )
    # images are preprocessed by the dense variant
    assert jobs[f"prepare/{prefix}ual_seed0__nnsparsePlans"].inputs == (
        ual,
        "prepare/Tiny_rho1.000_s1.000_fixed_seed0__nnsparsePlans",
    )


def test_jobs_that_use_a_gpu(paper: Grid) -> None:
    methods = "  methods: [correspondence, shape]\n"
    grid = write_grid(paper.file.parent, paper.file.read_text("utf-8") + methods)
    on_device = {name for name, job in job_graph(grid).items() if job.on_device}
    assert {name.partition("/")[0] for name in on_device} == {
        *("features", "interpolator", "train", "predict", "dataset"),
    }
    # interpolation with a network, and no other data set
    interpolated = {name for name in on_device if name.startswith("dataset")}
    assert len(interpolated) == 15
    assert all("mi_correspondence" in name for name in interpolated)


def test_cells_appear_once(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, TINY.replace("rho: [0.2]", "rho: [1]"))
    # all slices of all volumes at fixed intervals are the dense reference
    assert len(variants(grid.experiment, bases(grid)[0])) == 2


def test_selectors_without_a_scope_have_no_cell_there(tmp_path: Path) -> None:
    text = TINY.replace("[fixed]", "[single_object, random]") + "scopes: [volume, dataset]\n"
    grid = write_grid(tmp_path, text)
    cells = variants(grid.experiment, bases(grid)[0])
    assert {(c.variant.selector, c.variant.scope) for c in cells if c.kind == "sparse"} == {
        ("single_object", "volume"),
        ("random", "volume"),
        ("random", "dataset"),
    }


def _plans(grid: Grid) -> list[str]:
    found = (job.subject.plans for job in job_graph(grid).values() if job.step == "prepare")
    return sorted(dict.fromkeys(found))


def test_settings_give_plans_a_name_of_their_own(tmp_path: Path) -> None:
    second = "  - {configuration: 3d_fullres, planner: SmallPlanner}\n"
    text = TINY.replace("rho:", second + "rho:", 1)
    own, changed = _plans(write_grid(tmp_path, text))
    assert own == "nnsparseSmallPlans"
    assert changed.startswith("nnsparseSmallPlans_")
    # whatever the experiment is called, and whatever the order
    settings = "{save_every: 1, num_iterations_per_epoch: 2, num_val_iterations_per_epoch: 1,"
    reordered = text.replace("{num_epochs: 3, num_iterations_per_epoch: 2,", settings)
    reordered = reordered.replace("num_val_iterations_per_epoch: 1,\n", "num_epochs: 3}\n")
    reordered = reordered.replace("               save_every: 1}\n", "")
    assert _plans(write_grid(tmp_path, reordered, "other.yaml")) == [own, changed]
    longer = text.replace("num_epochs: 3", "num_epochs: 4")
    assert changed not in _plans(write_grid(tmp_path, longer))


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (
            "  - {configuration: 2d, plans: Same, settings: {num_epochs: 5}}\n"
            "  - {configuration: 2d, plans: Same, settings: {num_epochs: 4}}\n",
            "share the",
        ),
        ("  - {configuration: 2d}\n  - {configuration: 2d}\n", "appears twice"),
        ("  - {configuration: 2d, planner: Planer}\n", "unknown planner 'Planer'"),
        ("  - {configuration: 2d, planner: SmallPlanner, scale: 0.5}\n", ": scale is for"),
    ],
)
def test_configurations_that_contradict_each_other(
    tmp_path: Path, added: str, message: str
) -> None:
    grid = write_grid(tmp_path, TINY.replace("rho:", added + "rho:", 1))
    with pytest.raises(SparseError, match=message):
        job_graph(grid)


def test_bases_that_are_not_there(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base()
    with pytest.raises(SparseError, match=r"tiny.yaml, line 3: no data set '7'"):
        job_graph(write_grid(tmp_path, PAPER.replace("base: 4", "base: 7")))
    twice = PAPER.replace("configurations", "  - base: Dataset004_Tiny\nconfigurations", 1)
    with pytest.raises(SparseError, match="two tasks have a base called Tiny"):
        job_graph(write_grid(tmp_path, twice))
