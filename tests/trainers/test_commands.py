import json
import subprocess
import sys
from pathlib import Path

import pytest
from forked_commands import run_forked
from training_fixtures import PAPER_PLANS, TINY

PLANS = "nnsparseSmallPlans"
CPU = ("-device", "cpu")


def training(*options, fold=0):
    trainer = ("-tr", "SparseTrainer", "-p", PLANS)
    return ("nnUNetv2_train", TINY, "2d", fold, *trainer, *options, *CPU)


# nnUNetv2_predict is tried by tests/test_demo.py
@pytest.mark.slow
def test_stock_command_trains_continues_and_validates(trainable):
    # with all that a process of its own imports, and the workers that nnU-Net spawns
    name, *words = map(str, training())
    subprocess.run([Path(sys.executable).with_name(name), *words], check=True)
    output = trainable.results / TINY / f"SparseTrainer__{PLANS}__2d" / "fold_0"
    final = output / "checkpoint_final.pth"
    summary = output / "validation" / "summary.json"
    assert final.is_file()
    assert len(json.loads(summary.read_text("utf-8"))["metric_per_case"]) == 2

    summary.unlink()
    continued = run_forked(*training("--c"))
    assert "Epoch 1" not in continued.stdout
    assert summary.is_file()


@pytest.mark.slow
def test_a_fold_beyond_the_file_ends_before_anything_is_written(trainable):
    result = run_forked(*training(fold=3), status=None)
    assert result.returncode != 0
    assert result.stderr.strip().splitlines()[-1].endswith("splits_final.json")
    assert "there is no repeat (fold) 3" in result.stderr
    assert not list(trainable.results.iterdir())


@pytest.mark.slow
def test_stock_commands_train_and_predict_with_a_recipe(recipe_trainable, tmp_path):
    file = recipe_trainable.preprocessed / TINY / f"{PAPER_PLANS}.json"
    plans = json.loads(file.read_text("utf-8"))
    recipe = {"iterations": 2, "network": {"base_features": 2}}
    plans["configurations"]["3d_fullres"]["nnsparse"]["recipe"] = recipe
    file.write_text(json.dumps(plans))
    names = ("-tr", "SparseTrainerUNet3D", "-p", PAPER_PLANS)
    run_forked("nnUNetv2_train", TINY, "3d_fullres", 0, *names, *CPU)
    images = recipe_trainable.raw / "Dataset776_Base" / "imagesTr"
    output = tmp_path / "predictions"
    where = ("-d", TINY, "-c", "3d_fullres", "-f", 0, "-i", images, "-o", output)
    run_forked("nnUNetv2_predict", *where, *names, "-npp", 0, "-nps", 0, *CPU)
    assert len(list(output.glob("case_*.nii.gz"))) == 8
