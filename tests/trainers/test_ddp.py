"""``nnUNetv2_train -num_gpus 2``, with two processes on the CPU in place of two GPUs."""

import json
import multiprocessing
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from ddp_process import train_all
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.helpers import softmax_helper_dim1
from training_fixtures import PAPER_PLANS, TINY
from waiting import GUARD_S

RECIPE_TRAINER = "SparseTrainerSegResNet"
ITERATIONS = 2


def together(folder: Path, trainings: list[dict[str, object]]) -> list[list[dict]]:
    """What each training was like, in both processes."""
    import_module("monai.networks.nets")  # once for both
    forks = multiprocessing.get_context("fork")
    processes = [forks.Process(target=train_all, args=(n, folder, trainings)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(GUARD_S)
    assert [process.exitcode for process in processes] == [0, 0]
    said = [json.loads((folder / f"{rank}.json").read_text("utf-8")) for rank in range(2)]
    return [list(both) for both in zip(*said, strict=True)]


def plan(paths, name=PAPER_PLANS, batch_size=4):
    """Plans for two iterations of a batch."""
    folder = paths.preprocessed / TINY
    plans = json.loads((folder / f"{PAPER_PLANS}.json").read_text("utf-8")) | {"plans_name": name}
    for content in plans["configurations"].values():
        content["batch_size"] = batch_size
        content["nnsparse"] |= {"num_epochs": 1, "num_iterations_per_epoch": ITERATIONS}
        if content["architecture"]["network_class_name"].endswith("PlainConvUNet"):
            arguments = content["architecture"]["arch_kwargs"]
            arguments["features_per_stage"] = [4] * arguments["n_stages"]
    plans["configurations"]["3d_fullres"]["nnsparse"]["recipe"] = {
        "iterations": ITERATIONS,
        "network": {"init_filters": 8, "blocks_down": [1, 1, 1, 1]},
    }
    (folder / f"{name}.json").write_text(json.dumps(plans))


@pytest.mark.slow
def test_two_processes_train_one_network(recipe_trainable, tmp_path):
    plan(recipe_trainable)
    plan(recipe_trainable, "odd", batch_size=3)
    recipe = {
        "dataset": TINY,
        "configuration": "3d_fullres",
        "trainer": RECIPE_TRAINER,
        "plans": PAPER_PLANS,
        "continue": False,
    }
    sparse = recipe | {"configuration": "2d", "trainer": "SparseTrainer"}
    trainings = [sparse, recipe, recipe | {"continue": True}, sparse | {"plans": "odd"}]
    *trained, continued, refused = together(tmp_path, trainings)

    for both, of in zip(trained, trainings, strict=False):
        model = f"{of['trainer']}__{PAPER_PLANS}__{of['configuration']}"
        check_training(both, recipe_trainable.results / TINY / model / "fold_0")
    # a third of a batch of four must show foreground: its last patch, which the second one draws
    assert [of_rank["oversample"] for of_rank in trained[0]] == [0.0, 0.5]
    # the Dice over a batch is that of both halves together
    assert [of_rank["dice"] for of_rank in trained[0]] == pytest.approx([dice_of_batch()] * 2)
    # one that has ended goes on from its checkpoint: nothing is left to be done
    for before, after in zip(trained[1], continued, strict=True):
        assert (after["epochs"], after["num_patches"]) == (1, 0)
        assert after["weights"] == before["weights"]
    for of_rank in refused:
        assert of_rank["error"].startswith("a batch of 3 patches cannot be shared equally by 2 ")


def check_training(both, folder):
    """A batch of four is shared, each process draws its own part, both get equal weights."""
    assert [of_rank["batch_size"] for of_rank in both] == [2, 2]
    assert [of_rank["num_patches"] for of_rank in both] == [2 * ITERATIONS] * 2
    first, second = both
    assert first["voxels"] != second["voxels"]
    assert np.isfinite(first["losses"] + second["losses"]).all()
    assert first["weights"] == pytest.approx(second["weights"], rel=1e-9)
    # one checkpoint, whose names are those of a training on one GPU, and one validation of all
    checkpoints = [file.name for file in folder.rglob("*.pth")]
    assert sorted(checkpoints) == ["checkpoint_best.pth", "checkpoint_final.pth"]
    content = torch.load(folder / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    assert not any(name.startswith("module.") for name in content["network_weights"])
    summary = json.loads((folder / "validation" / "summary.json").read_text("utf-8"))
    assert len(summary["metric_per_case"]) == 2
    is_recipe = RECIPE_TRAINER in folder.parent.name
    assert (folder / "recipe.json").is_file() == is_recipe


def dice_of_batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 2, 8, 8, generator=generator)
    target = torch.randint(0, 3, (4, 1, 8, 8), generator=generator)
    mask = target != 2
    loss = MemoryEfficientSoftDiceLoss(
        softmax_helper_dim1, batch_dice=True, do_bg=False, smooth=1e-5, ddp=False
    )
    return float(loss(logits, torch.where(mask, target, 0), loss_mask=mask))
