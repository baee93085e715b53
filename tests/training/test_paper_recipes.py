"""The numbers of the paper (appendix G), written down a second time."""

import pytest

from nnunet_sparse.architectures.architecture import architecture_dimensions
from nnunet_sparse.training.paper_recipes import PAPER

NUMBERS = {
    # trainer: loss, optimizer, learning rate, weight decay, schedule, iterations
    "InceptionUNet": ("ce", "adamw", 1e-4, 1e-5, "poly", 14000),
    "SegFormer": ("ce", "adamw", 1e-4, 1e-2, "poly", 12000),
    "CAMWNet": ("dice_ce", "adamw", 5e-5, 1e-5, "step", 15000),
    "UNet3D": ("ce", "sgd", 0.01, 1e-4, "constant", 18000),
    "SegResNet": ("ce", "adamw", 3e-4, 1e-5, "cosine", 12000),
    "UNETR": ("dice_focal", "adamw", 1.5e-4, 1e-6, "step", 15000),
    "AttentionUNet3D": ("dice_focal", "adamw", 1.5e-4, 1e-6, "step", 15000),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    recipe = PAPER[f"SparseTrainer{name}"].recipe
    found = (
        recipe.loss,
        recipe.optimizer,
        recipe.initial_lr,
        recipe.weight_decay,
        recipe.schedule,
        recipe.iterations,
    )
    assert found == NUMBERS[name]


def test_there_are_no_others():
    assert set(PAPER) == {f"SparseTrainer{name}" for name in NUMBERS}


def test_details():
    inception, unet = PAPER["SparseTrainerInceptionUNet"], PAPER["SparseTrainerUNet3D"]
    assert inception.recipe.class_weights == {"background": 0.04, "context": 0.25, "target": 1.4}
    assert unet.recipe.class_weights == {"background": 0.04, "context": 0.2, "target": 1.0}
    assert (inception.recipe.power, unet.recipe.momentum) == (0.8, 0.9)
    assert unet.recipe.patch_centres == {
        "context": 0.5,
        "target": 0.3,
        "background+unannotated": 0.2,
    }
    unetr, wnet = PAPER["SparseTrainerUNETR"].recipe, PAPER["SparseTrainerCAMWNet"].recipe
    assert unetr.patch_centres == {"background": 0.3, "target": 0.55, "unannotated": 0.15}
    assert (unetr.factor, unetr.period, wnet.factor, wnet.period) == (0.7, 3000, 0.7, 2000)
    assert unetr.focal_gamma == 2
    assert {name for name, t in PAPER.items() if t.recipe.pretrained} == {
        "SparseTrainerSegFormer",
        "SparseTrainerCAMWNet",
    }


@pytest.mark.parametrize("name", PAPER)
def test_dimensions_are_those_of_the_architecture(name):
    training = PAPER[name]
    assert architecture_dimensions(training.architecture) == training.dimensions
    assert not (training.recipe.patch_centres and training.dimensions == 2)
