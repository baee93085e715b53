import json
from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid.grid_command import main
from nnunet_sparse.grid.preflight import check_experiment
from nnunet_sparse.planners.small_planner import SmallPlanner
from nnunet_sparse.system import devices
from nnunet_sparse.system.errors import SparseError

BASE = "  - base: 4\n"
WITHOUT_SETTINGS = TINY.replace(TINY[TINY.index("    settings") : TINY.index("rho")], "")
PHANTOM = TINY.splitlines(keepends=True)[1]


def test_labels_of_a_base(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base()
    text = TINY.replace(PHANTOM, BASE)
    check_experiment(write_grid(tmp_path, text))
    wrong = write_grid(tmp_path, text.replace(BASE, BASE + "    labels: [organ, Tumor]\n"))
    with pytest.raises(SparseError, match=r"tiny.yaml, line 3: Tiny has no label 'Tumor', there"):
        check_experiment(wrong)


def test_labels_of_a_phantom_that_has_not_been_made(tmp_path: Path) -> None:
    text = TINY.replace(PHANTOM, PHANTOM + "    labels: breast\n")
    check_experiment(write_grid(tmp_path, text))
    wrong = write_grid(tmp_path, text.replace("breast", "background"))
    with pytest.raises(SparseError, match="PhantomOrgan has no label 'background', there are br"):
        check_experiment(wrong)


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ("SparseTrainerUNet3D", "line 5: SparseTrainerUNet3D trains 3d_fullres, not 2d"),
        (
            "SparseTrainerUNETT",
            r"line 5: nnU-Net finds no trainer .*\(did you mean SparseTrainerUNETR\?\)",
        ),
    ],
)
def test_trainers_that_cannot_train(tmp_path: Path, trainer: str, message: str) -> None:
    text = TINY.replace("planner:", f"trainer: {trainer}\n    planner:", 1)
    with pytest.raises(SparseError, match=message):
        check_experiment(write_grid(tmp_path, text))


def test_trainers_of_nnunet_and_of_the_paper(tmp_path: Path) -> None:
    for trainer in ("nnUNetTrainer_5epochs", "SparseTrainerSegFormer"):
        text = WITHOUT_SETTINGS.replace("planner:", f"trainer: {trainer}\n    planner:", 1)
        check_experiment(write_grid(tmp_path, text))


def test_settings_that_a_trainer_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TINY.replace("planner:", "trainer: nnUNetTrainer\n    planner:", 1)
    with pytest.raises(SparseError, match=r"line 7: nnUNetTrainer does not read settings: leave"):
        check_experiment(write_grid(tmp_path, text))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "derived.py").write_text(
        "from nnunet_sparse.trainers.sparse_trainer import SparseTrainer\n\n\n"
        "class Derived(SparseTrainer):\n    pass\n"
    )
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path / "theirs"))
    check_experiment(write_grid(tmp_path, text.replace("nnUNetTrainer", "Derived")))


@pytest.mark.parametrize(
    ("task", "line", "message"),
    [
        ("val: 50", 3, "no training case is left: Dataset004_Tiny has 10 labelled cases"),
        ("labels: organ\n    val: 0", 4, "val must be at least 1"),
        ("val: 2\n    test: 0.2", 4, "Dataset004_Tiny has 2 test cases of its own (imagesTs with"),
        ("split_file: nope.json", 3, "split file "),
    ],
)
def test_splits_that_cannot_be_made(
    tmp_path: Path,
    make_base: BaseMaker,
    capsys: pytest.CaptureFixture[str],
    task: str,
    line: int,
    message: str,
) -> None:
    make_base(num_test=2)
    text = TINY.replace(PHANTOM, f"{BASE}    {task}\n").replace("nnunet: nnunet\n", "")
    grid = write_grid(tmp_path, text)
    for command in ("plan", "run"):
        assert main([command, str(grid.file)]) == 2
        said = capsys.readouterr().err
        assert f"tiny.yaml, line {line}: {message}" in said
        assert "--test" not in said
    assert not grid.folder.exists()


def test_plans_of_other_settings(tmp_path: Path) -> None:
    text = TINY.replace("planner:", "plans: Mine\n    planner:", 1)
    grid = write_grid(tmp_path, text)
    way = grid.experiment.configurations[0]
    block = SmallPlanner.settings.replaced(way.settings).to_block()
    plans = {"plans_name": "Mine", "experiment_planner_used": "SmallPlanner"}
    suffix = "Dataset501_PhantomOrgan_rho0.200_s1.000_fixed_seed0"
    for file in (
        grid.paths.preprocessed / suffix / "Mine.json",
        grid.paths.results / suffix / "SparseTrainer__Mine__2d" / "plans.json",
    ):
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(plans | {"configurations": {"2d": {"nnsparse": block}}}))
        check_experiment(grid)
        other = {"2d": {"nnsparse": block | {"num_epochs": 8}}}
        file.write_text(json.dumps(plans | {"configurations": other}))
        with pytest.raises(SparseError, match=r"line 5: .* has another num_epochs \(8, not 3\): c"):
            check_experiment(grid)
        file.write_text(json.dumps(plans | {"configurations": {"3d_fullres": {}}}))
        check_experiment(grid)


def test_a_gpu_that_there_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check_experiment(write_grid(tmp_path))
    assert caplog.text == ""
    grid = write_grid(tmp_path, TINY.replace("device: cpu", "device: cuda"))
    check_experiment(grid)
    assert "tiny.yaml, line 14: device is cuda, and this machine has no GPU" in caplog.text
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(devices, "_usable", lambda _: ("0",))
    caplog.clear()
    check_experiment(grid)
    assert caplog.text == ""
