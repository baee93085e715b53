"""The real work of steps, on what other tests have no time to make."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid
from waiting import GUARD_S, calling_on_message

from nnunet_sparse.grid import prediction_work, train_work
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.job_work import work_of
from nnunet_sparse.grid.jobs import (
    Job,
    PredictJob,
    PrepareJob,
    ScoreJob,
    TrainJob,
    job_graph,
    jobs_of,
)
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.runner import run_job
from nnunet_sparse.grid.step_work import Work, dataset_name
from nnunet_sparse.grid.train_work import check_same_plans, training_folder
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.locks import locked
from nnunet_sparse.system.paths import NnUNetPaths

KEY = "PhantomOrgan_rho0.200_s1.000_fixed_seed0"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what jobs set for nnU-Net."""
    for name in ("nnUNet_def_n_proc", "OMP_NUM_THREADS", "nnUNet_n_proc_DA", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "1")
    for name in ("extTrainer", "raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", "")


def prepare(grid: Grid) -> PrepareJob:
    """Do the jobs up to the preparation of data; the last of them."""
    for job in job_graph(grid).values():
        if job.step in ("base", "dataset", "prepare"):
            run_job(grid, job)
    return jobs_of(job_graph(grid), PrepareJob)[-1]


_Kind = TypeVar("_Kind", bound=Job)


def first(grid: Grid, kind: type[_Kind]) -> _Kind:
    return next(job for job in jobs_of(job_graph(grid), kind) if job.key.startswith(KEY))


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_repeats_and_configurations_are_added(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, TINY.replace("s: [1/2, 1]", "s: 1"))
    prepare(grid)
    name = dataset_name(grid, KEY)
    before = sorted(path.name for path in grid.paths.raw.iterdir())
    second = "  - configuration: 3d_fullres\n    planner: SmallPlanner\n"
    settings = TINY[TINY.index("    settings:") : TINY.index("rho:")]
    text = grid.file.read_text("utf-8").replace("rho:", second + settings + "rho:", 1)
    grid = write_grid(tmp_path, text.replace("repeats: 1", "repeats: 3"))
    assert len({each.subject.plans for each in jobs_of(job_graph(grid), PrepareJob)}) == 1
    job = prepare(grid)
    assert sorted(path.name for path in grid.paths.raw.iterdir()) == before
    for folder in (grid.paths.raw, grid.paths.preprocessed):
        assert len(json.loads((folder / name / "splits_final.json").read_text("utf-8"))) == 3
    assert job.subject.configurations == ("2d", "3d_fullres")
    assert work_of(job).is_there(Work(grid), job)
    data = next(p for p in (grid.paths.preprocessed / name).glob("*3d_fullres") if p.is_dir())
    data.rename(tmp_path / "moved")
    assert not work_of(job).is_there(Work(grid), job)


@pytest.mark.usefixtures("environment")
def test_a_network_of_other_plans_is_not_taken(tmp_path: Path) -> None:
    text = TINY.replace("s: [1/2, 1]", "s: 1").replace("planner:", "plans: Mine\n    planner:", 1)
    grid = write_grid(tmp_path, text)
    prepare(grid)
    training = first(grid, TrainJob).subject
    model = training_folder(grid, training).parent
    model.mkdir(parents=True)
    plans = json.loads(
        (grid.paths.preprocessed / dataset_name(grid, KEY) / "Mine.json").read_text("utf-8")
    )
    check_same_plans(Work(grid), training, model)
    (model / "plans.json").write_text(json.dumps(plans))
    check_same_plans(Work(grid), training, model)
    plans["configurations"]["2d"]["nnsparse"]["num_epochs"] = 7
    (model / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(SparseError, match=r"other plans of the same name \(nnsparse of config"):
        run_job(grid, first(grid, TrainJob))
    assert not list(model.glob(".nnsparse*"))


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """A grid whose data sets are there by name alone, and whose trainings write two files."""

    def train(work: Work, _: Any, folder: Path) -> None:
        (folder / "validation").mkdir(parents=True)
        (folder / "validation" / "summary.json").write_text("{}")
        with (folder / "checkpoint_final.pth").open("a", encoding="utf-8") as file:
            file.write(work.grid.name)

    monkeypatch.setattr(train_work, "train", train)
    monkeypatch.setattr(train_work, "speed", lambda _: {"training_s": 1.0})
    for module in (prediction_work, train_work):
        monkeypatch.setattr(module, "dataset_name", lambda _, suffix: f"Dataset501_{suffix}")
    return write_grid(tmp_path)


@pytest.fixture
def predicted(pretended: Grid, make_base: BaseMaker) -> tuple[Grid, Path]:
    """A grid with predictions of two test cases, which are the truth."""
    made = make_base("Dataset501_" + KEY, num_test=2)
    grid = replace(pretended, paths=NnUNetPaths(made.parent, *[made.parent.parent] * 2))
    predictions = GridFolder(grid.folder).predictions(first(grid, ScoreJob).key)
    shutil.copytree(made / "labelsTs", predictions)
    shutil.copy(made / "dataset.json", predictions)
    return grid, predictions


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"nnsparse": {"per_label": 3}}'])
def test_damaged_scores_are_made_again(predicted: tuple[Grid, Path], text: str) -> None:
    grid, predictions = predicted
    job = first(grid, ScoreJob)
    step = work_of(job)
    assert not step.is_there(Work(grid), job)
    step.do(Work(grid), job)
    assert step.is_there(Work(grid), job)
    (predictions / "nnsparse_summary.json").write_text(text)
    assert not step.is_there(Work(grid), job)
    step.do(Work(grid), job)
    assert step.is_there(Work(grid), job)


def test_a_damaged_prediction_is_made_again(predicted: tuple[Grid, Path]) -> None:
    grid, predictions = predicted
    predict, job = first(grid, PredictJob), first(grid, ScoreJob)
    file = predictions / "ts_01.nii.gz"
    file.write_bytes(file.read_bytes()[:100])
    assert work_of(predict).is_there(Work(grid), predict)
    with pytest.raises(SparseError, match=r"ts_01.nii.gz was damaged and has been removed: the ne"):
        work_of(job).do(Work(grid), job)
    assert not work_of(predict).is_there(Work(grid), predict)
    assert (predictions / "ts_00.nii.gz").is_file()


def test_two_experiments_train_once(pretended: Grid) -> None:
    other = replace(pretended, folder=pretended.file.parent / "other")
    job = first(pretended, TrainJob)
    folder = training_folder(pretended, job.subject)
    folder.parent.mkdir(parents=True)
    step = work_of(job)

    def train() -> None:
        with step.held(Work(pretended), job):
            step.do(Work(pretended), job)

    waiting = threading.Event()
    with (
        locked(folder.with_name(".nnsparse_fold_0.lock")),
        calling_on_message("is being trained by another process", waiting.set),
    ):
        thread = threading.Thread(target=train)
        thread.start()
        assert waiting.wait(GUARD_S)
        assert not folder.exists()
    thread.join()
    # taken over by a process that has a GPU
    facts = step.do(Work(replace(other, experiment=replace(other.experiment, device="cuda"))), job)
    assert (folder / "checkpoint_final.pth").read_text("utf-8") == "tiny"
    assert (facts["training_s"], facts["device"]) == (1.0, "cpu")
    assert "nnunetv2 2." in facts["software"]
    assert [path.name for path in folder.parent.iterdir()] == ["fold_0"]
    (folder / "nnsparse_training.json").unlink()
    assert "device" not in step.do(Work(other), job)
