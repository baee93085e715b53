"""The real work of steps, on what other tests have no time to make."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid import job_work as steps
from nnunet_sparse.grid.experiment import Grid
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import Job, job_graph
from nnunet_sparse.grid.runner import run_job
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


def done(grid: Grid, step: str) -> Any:
    """Do the jobs up to a step, and give the last one's subject."""
    subject = None
    for job in job_graph(grid).values():
        if job.step in ("base", "dataset", "prepare"):
            run_job(grid, job)
        if job.step == step:
            subject = job.subject
    return subject


def work(grid: Grid) -> steps.Work:
    return steps.Work(grid, GridFolder(grid.folder), "cpu")


def job(grid: Grid, step: str) -> Job:
    return next(job for name, job in job_graph(grid).items() if name.startswith(f"{step}/{KEY}"))


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_repeats_and_configurations_are_added(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, TINY.replace("s: [1/2, 1]", "s: 1"))
    done(grid, "prepare")
    name = steps.dataset_name(grid, KEY)
    before = sorted(path.name for path in grid.paths.raw.iterdir())
    second = "  - configuration: 3d_fullres\n    planner: SmallPlanner\n"
    settings = TINY[TINY.index("    settings:") : TINY.index("rho:")]
    text = grid.file.read_text("utf-8").replace("rho:", second + settings + "rho:", 1)
    grid = write_grid(tmp_path, text.replace("repeats: 1", "repeats: 3"))
    assert len({j.subject.plans for j in job_graph(grid).values() if j.step == "prepare"}) == 1
    subject = done(grid, "prepare")
    assert sorted(path.name for path in grid.paths.raw.iterdir()) == before
    for folder in (grid.paths.raw, grid.paths.preprocessed):
        assert len(json.loads((folder / name / "splits_final.json").read_text("utf-8"))) == 3
    assert subject.configurations == ("2d", "3d_fullres")
    assert steps.STEPS_BY_NAME["prepare"].is_there(work(grid), subject)
    data = next(p for p in (grid.paths.preprocessed / name).glob("*3d_fullres") if p.is_dir())
    data.rename(tmp_path / "moved")
    assert not steps.STEPS_BY_NAME["prepare"].is_there(work(grid), subject)


@pytest.mark.usefixtures("environment")
def test_a_network_of_other_plans_is_not_taken(tmp_path: Path) -> None:
    text = TINY.replace("s: [1/2, 1]", "s: 1").replace("planner:", "plans: Mine\n    planner:", 1)
    grid = write_grid(tmp_path, text)
    done(grid, "prepare")
    training = job(grid, "train").subject
    model = steps.training_folder(grid, training).parent
    model.mkdir(parents=True)
    plans = json.loads(
        (grid.paths.preprocessed / steps.dataset_name(grid, KEY) / "Mine.json").read_text("utf-8")
    )
    steps._check_same_plans(work(grid), training, model)
    (model / "plans.json").write_text(json.dumps(plans))
    steps._check_same_plans(work(grid), training, model)
    plans["configurations"]["2d"]["nnsparse"]["num_epochs"] = 7
    (model / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(SparseError, match=r"other plans of the same name \(nnsparse of config"):
        run_job(grid, job(grid, "train"))
    assert not list(model.glob(".nnsparse*"))


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """A grid whose data sets are there by name alone, and whose trainings write two files."""

    def train(work: steps.Work, _: Any, folder: Path) -> None:
        (folder / "validation").mkdir(parents=True)
        (folder / "validation" / "summary.json").write_text("{}")
        with (folder / "checkpoint_final.pth").open("a", encoding="utf-8") as file:
            file.write(work.grid.name)

    monkeypatch.setattr(steps, "_train", train)
    monkeypatch.setattr(steps, "_speed", lambda _: {"training_s": 1.0})
    monkeypatch.setattr(steps, "dataset_name", lambda _, suffix: f"Dataset501_{suffix}")
    return write_grid(tmp_path)


@pytest.fixture
def predicted(pretended: Grid, make_base: BaseMaker) -> tuple[Grid, Path]:
    """A grid with predictions of two test cases, which are the truth."""
    made = make_base("Dataset501_" + KEY, num_test=2)
    grid = replace(pretended, paths=NnUNetPaths(made.parent, *[made.parent.parent] * 2))
    predictions = GridFolder(grid.folder).predictions(job(grid, "score").subject.key)
    shutil.copytree(made / "labelsTs", predictions)
    shutil.copy(made / "dataset.json", predictions)
    return grid, predictions


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"nnsparse": {"per_label": 3}}'])
def test_damaged_scores_are_made_again(predicted: tuple[Grid, Path], text: str) -> None:
    grid, predictions = predicted
    step, subject = steps.STEPS_BY_NAME["score"], job(grid, "score").subject
    assert not step.is_there(work(grid), subject)
    step.do(work(grid), subject)
    assert step.is_there(work(grid), subject)
    (predictions / "nnsparse_summary.json").write_text(text)
    assert not step.is_there(work(grid), subject)
    step.do(work(grid), subject)
    assert step.is_there(work(grid), subject)


def test_a_damaged_prediction_is_made_again(predicted: tuple[Grid, Path]) -> None:
    grid, predictions = predicted
    subject = job(grid, "score").subject
    file = predictions / "ts_01.nii.gz"
    file.write_bytes(file.read_bytes()[:100])
    assert steps.STEPS_BY_NAME["predict"].is_there(work(grid), subject)
    with pytest.raises(SparseError, match=r"ts_01.nii.gz was damaged and has been removed: the ne"):
        steps.STEPS_BY_NAME["score"].do(work(grid), subject)
    assert not steps.STEPS_BY_NAME["predict"].is_there(work(grid), subject)
    assert (predictions / "ts_00.nii.gz").is_file()


def test_two_experiments_train_once(pretended: Grid) -> None:
    other = replace(pretended, folder=pretended.file.parent / "other")
    training = job(pretended, "train").subject
    folder = steps.training_folder(pretended, training)
    folder.parent.mkdir(parents=True)
    step = steps.STEPS_BY_NAME["train"]

    def train() -> None:
        with step.held(work(pretended), training):
            step.do(work(pretended), training)

    with locked(folder.with_name(".nnsparse_fold_0.lock")):
        thread = threading.Thread(target=train)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert not folder.exists()
    thread.join(60)
    # taken over by a process that has a GPU
    facts = step.do(replace(work(other), device="cuda"), training)
    assert (folder / "checkpoint_final.pth").read_text("utf-8") == "tiny"
    assert (facts["training_s"], facts["device"]) == (1.0, "cpu")
    assert "nnunetv2 2." in facts["software"]
    assert [path.name for path in folder.parent.iterdir()] == ["fold_0"]
    (folder / "nnsparse_training.json").unlink()
    assert "device" not in step.do(work(other), training)
