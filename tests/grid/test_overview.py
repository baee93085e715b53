from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid
from tiny import tree

from nnunet_sparse.grid import overview as module
from nnunet_sparse.grid.cells import bases, variants
from nnunet_sparse.grid.job_records import GridFolder, Record
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.grid.overview import base_facts, budget, overview
from nnunet_sparse.system.errors import SparseError

TEXT = """\
nnunet: nnunet
tasks:
  - base: 4
    val: 2
    test: 2
configurations:
  - configuration: 2d
rho: [0.2, 0.5]
s: [1/2, 1]
selectors: [fixed, random]
seeds: [0, 1]
repeats: 2
"""


@pytest.fixture
def base(make_base: BaseMaker) -> Path:
    return make_base()  # 10 cases with 10 and 7 slices in turns


def test_slices_worked_by_hand(tmp_path: Path, base: Path) -> None:
    text = TEXT.replace("[0, 1]", "[0]").replace("[1/2, 1]", "[1]")
    grid = write_grid(tmp_path, text)
    facts = base_facts(grid, bases(grid)[0])
    assert (len(facts.num_slices), facts.num_val, facts.num_test) == (6, 2, 2)
    cells = variants(grid.experiment, bases(grid)[0])
    budgets = {cell.variant.rho: budget(cell, facts) for cell in cells}
    # floor(0.2 n + 0.5) and floor(0.5 n + 0.5), with n = 10 or 7
    expected = {0.2: {10: 2, 7: 1}, 0.5: {10: 5, 7: 4}, 1.0: {10: 10, 7: 7}}
    for rho, slices in expected.items():
        assert budgets[rho] == sum(slices[n] for n in facts.num_slices.values())
    assert base.is_dir()


def test_numbers_of_the_overview(tmp_path: Path, base: Path) -> None:
    grid = write_grid(tmp_path, TEXT)
    before = tree(tmp_path)
    text = overview(grid)
    assert tree(tmp_path) == before
    assert f"{base.name}: 6 training cases with" in text
    # 2 densities x 2 fractions x 2 selectors x 2 seeds, and the reference
    assert "17 data sets: 16 sparse, 0 interpolated, 1 dense" in text
    assert "in all: 17 data sets, 34 trainings" in text
    assert (
        "time: 34 trainings (none has been timed) and 34 predictions (none has been timed) of 2d"
        in text
    )


def test_time_is_that_of_trainings_that_are_done(tmp_path: Path, base: Path) -> None:
    grid = write_grid(tmp_path, TEXT + "device: cpu\n")
    folder = GridFolder(grid.folder)
    jobs = job_graph(grid)
    trainings = [name for name, job in jobs.items() if job.step == "train"]
    # the second one was continued
    folder.write(trainings[0], Record("1", {}, {}, 100.0, {"training_s": 90.0}))
    folder.write(trainings[1], Record("1", {}, {}, 20.0, {"training_s": 120.0}))
    text = overview(grid)
    assert "time: 32 trainings (110 s each) and 34 predictions (none has been timed) of 2d" in text
    assert "for all of them" not in text
    prediction = next(name for name, job in jobs.items() if job.step == "predict")
    folder.write(prediction, Record("1", {}, {}, 20.0, {}))
    text = overview(grid)
    assert "and 33 predictions (20 s each) of 2d SparseTrainer (nnsparsePlans) left" in text
    # 32 x 110 s + 33 x 20 s
    assert "time: 70 min for all of them, one at a time" in text
    assert "GPU" not in text
    assert base.is_dir()


def test_time_of_another_experiments_trainings(tmp_path: Path, base: Path) -> None:
    grid = write_grid(tmp_path, TEXT + "device: cuda\n")
    model = grid.paths.results / "Dataset700_Other" / "SparseTrainer__nnsparsePlans__2d"
    for fold, names in enumerate((["checkpoint_final.pth"], ["checkpoint_latest.pth"])):
        folder = model / f"fold_{fold}"
        folder.mkdir(parents=True)
        (folder / names[0]).touch()
        (folder / "training_log_1.txt").write_text("x: Epoch time: 40.5 s \nEpoch time: 1 s\n")
        (folder / "training_log_2.txt").write_text("x: Epoch time: 18.5 s\n")
    name = next(name for name, job in job_graph(grid).items() if job.step == "predict")
    GridFolder(grid.folder).write(name, Record("1", {}, {}, 0.0, {}))
    text = overview(grid)
    assert "time: 34 trainings (60 s each) and 33 predictions (0 s each)" in text
    assert "time: 34 min for all of them, one at a time: 0.6 GPU hours" in text
    assert base.is_dir()


def test_phantoms_along_another_axis(tmp_path: Path) -> None:
    for axis, length in (("axial", 16), ("coronal", 32), ("2", 40)):
        text = TINY.replace("[16, 32, 32]", "[16, 32, 40]")
        text = text.replace("num_test: 2}", f"num_test: 2}}\n    axis: {axis}")
        assert f"5 training cases with {5 * length} slices" in overview(write_grid(tmp_path, text))


def test_a_phantom_need_not_exist(tmp_path: Path) -> None:
    text = overview(write_grid(tmp_path))
    assert "PhantomOrgan (a phantom that will be made): 5 training cases with 80 slices" in text
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_ids_must_suffice(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ID", 17)
    with pytest.raises(SparseError, match="17 data sets are to be made, and 16 of nnU-Net's IDs"):
        overview(write_grid(tmp_path, TEXT))
    assert base.is_dir()


def test_a_weight_that_no_cell_has(tmp_path: Path, base: Path) -> None:
    text = TEXT.replace("    val: 2", "    positive_weight: 3\n    val: 2")
    said = "positive_weight 3 is not used: it is for cells with interpolation"
    assert said in overview(write_grid(tmp_path, text))
    assert "positive_weight" not in overview(write_grid(tmp_path, TEXT))
    filled = text + "interpolation: {methods: [shape], rho: [0.2]}\n"
    assert said not in overview(write_grid(tmp_path, filled))
    assert base.is_dir()
