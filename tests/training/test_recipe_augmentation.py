import math

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

from nnunet_sparse.training.augmentation import sparse_transforms
from nnunet_sparse.training.device_transforms import on_device
from nnunet_sparse.training.patch_labels import PADDING
from nnunet_sparse.training.recipe import AUGMENTATIONS, Recipe
from nnunet_sparse.training.recipe_augmentation import (
    flip_axes,
    initial_patch_size,
    recipe_transforms,
)
from nnunet_sparse.training.settings import TrainingSettings

IGNORE = 3


@pytest.fixture(params=["workers", "device"])
def transforms(request):
    """Makes transforms of a recipe, for either place where they may run."""

    def made(*names, patch=(16, 16), spacing=(1.0, 1.0), masked=()):
        recipe = Recipe(augmentation=names)
        stock = recipe_transforms(recipe, patch, spacing, (len(patch) - 1,), masked)
        found = sparse_transforms(stock, TrainingSettings(), IGNORE)
        return on_device(found, torch.device("cpu")) if request.param == "device" else found

    return made


def test_without_augmentation_the_patch_is_what_was_read(transforms):
    image = torch.arange(256.0).view(1, 16, 16)
    label = (image % 4).to(torch.int16)
    out = transforms()(image=image.clone(), segmentation=label.clone())
    assert torch.equal(out["image"], image)
    assert torch.equal(out["segmentation"], label)


def test_flip_reverses_the_last_axis_half_of_the_time(transforms):
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    image = torch.arange(256.0).view(1, 16, 16)
    flip, reversed_times = transforms("flip"), 0
    for _ in range(400):
        out = flip(image=image.clone(), segmentation=image.to(torch.int16).clamp(0, 2))
        assert torch.equal(out["image"], image) or torch.equal(out["image"], image.flip(2))
        reversed_times += int(out["image"][0, 0, 0] == 15)
    assert abs(reversed_times - 200) < 4 * math.sqrt(100)


@pytest.mark.parametrize("patch", [(24, 24), (12, 14, 16)])
@pytest.mark.parametrize("names", [("affine",), ("elastic",), AUGMENTATIONS])
def test_no_label_comes_from_nowhere(transforms, patch, names):
    """Annotated planes of 1 and 2 among ignore: no other label, and no mixture, may appear."""
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    spacing = (1.0,) * len(patch)
    size = initial_patch_size(Recipe(augmentation=names), patch, spacing)
    label = torch.full((1, *size), IGNORE, dtype=torch.int16)
    label[:, ::3] = 2
    augment, seen = transforms(*names, patch=patch, spacing=spacing), set()
    for _ in range(10):
        image = torch.randn(2, *size)
        out = augment(image=image, segmentation=label.clone())
        assert out["image"].shape == (2, *patch)
        assert out["segmentation"].shape == (1, *patch)
        assert torch.isfinite(out["image"]).all()
        seen |= set(out["segmentation"].unique().tolist())
    assert seen == {2, IGNORE}


def test_the_patch_that_is_read_fills_the_augmented_one():
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    patch, spacing = (20, 24, 16), (2.0, 1.0, 1.0)
    recipe = Recipe(augmentation=("affine", "elastic"))
    size = initial_patch_size(recipe, patch, spacing)
    augment = recipe_transforms(recipe, patch, spacing, (2,), ())
    spatial = augment.transforms[0]
    spatial.padding_value_seg = PADDING
    for _ in range(20):
        label = torch.ones(1, *size, dtype=torch.int16)
        out = spatial(image=torch.ones(1, *size), segmentation=label)
        assert (out["segmentation"] == 1).float().mean() > 0.999


def test_rotation_and_scaling_stay_within_torchios_range():
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    spatial = recipe_transforms(Recipe(augmentation=("affine",)), (32, 32), (1, 1), (1,), ())
    assert isinstance(spatial.transforms[0], SpatialTransform)
    # a point 10 pixels right of the middle
    angles, lengths = [], []
    for _ in range(200):
        grid = spatial.transforms[0].get_parameters(image=torch.zeros(1, 32, 32))["grid"]
        # grid_sample's order is (x, y), its unit half of the image
        step = (grid[16, 26] - grid[16, 16]) * 16
        angles.append(math.degrees(math.atan2(step[1], step[0])))
        lengths.append(float(step.norm()) / 10)
    assert 8 < max(angles) < 11.2
    assert -11.2 < min(angles) < -8
    assert 0.89 < min(lengths) < 0.93
    assert 1.07 < max(lengths) < 1.11


def test_displacements_are_those_of_torchio_in_mm():
    np.random.seed(4)  # noqa: NPY002
    torch.manual_seed(4)
    recipe = Recipe(augmentation=("elastic",))
    spatial = recipe_transforms(recipe, (64, 64), (2.0, 0.5), (1,), ()).transforms[0]
    still = recipe_transforms(Recipe(augmentation=("affine",)), (64, 64), (2.0, 0.5), (1,), ())
    identity = still.transforms[0]._get_base_grid_clone()
    most = []
    for _ in range(50):
        grid = spatial.get_parameters(image=torch.zeros(1, 64, 64))["grid"]
        offset = (grid.flip(-1) * 32 - identity).abs().amax((0, 1))
        most.append((offset * torch.tensor([2.0, 0.5])).tolist())
    mean = np.mean(most, axis=0)
    assert (np.abs(mean - 2.7) < 0.5).all()


@pytest.mark.parametrize(
    ("transpose", "dimensions", "expected"),
    [((0, 1, 2), 3, (2,)), ((0, 1, 2), 2, (1,)), ((1, 0, 2), 2, (1,)), ((2, 0, 1), 3, (0,))],
)
def test_left_to_right_axis(transpose, dimensions, expected):
    assert flip_axes(transpose, dimensions) == expected


def test_sagittal_slices_are_flipped_along_their_last_axis():
    assert flip_axes((2, 0, 1), 2) == (1,)


def test_voxels_outside_the_mask_stay_0(transforms):
    image = torch.ones(1, 16, 16)
    label = torch.full((1, 16, 16), -1, dtype=torch.int16)
    label[:, :8] = 1
    np.random.seed(5)  # noqa: NPY002
    out = transforms("bias_field", masked=(0,))(image=image, segmentation=label)
    assert (out["image"][:, 8:] == 0).all()
    assert (out["image"][:, :8] > 0).all()
    assert out["segmentation"].unique().tolist() == [0, 1]
