"""Augmentation on a device: on the processor it is that of the workers, bit for bit."""

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.inversion import InvertImageTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import OneOfTransform, RandomTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch._subclasses.fake_tensor import FakeTensorMode

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.augmentation import sparse_transforms
from nnunet_sparse.training.bias_field import BiasFieldTransform
from nnunet_sparse.training.device_transforms import DeviceAugmentation, _blurred, on_device
from nnunet_sparse.training.patch_labels import MASKED_IGNORE, PADDING
from nnunet_sparse.training.point_labels import _Surroundings
from nnunet_sparse.training.recipe import AUGMENTATIONS, Recipe
from nnunet_sparse.training.recipe_augmentation import initial_patch_size, recipe_transforms
from nnunet_sparse.training.settings import STOCK, TrainingSettings
from nnunet_sparse.training.targets import _summed

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)
IGNORE = 3


def seed(value):
    np.random.seed(value)  # noqa: NPY002 - nnU-Net's transforms draw from the global generators
    torch.manual_seed(value)


def stock_transforms(patch, *, dummy_2d=False, regions=None, **changes):
    """nnU-Net's transforms, all of which are applied, with settings that differ from its own."""
    stock = nnUNetTrainer.get_training_transforms(
        patch,
        (-0.5, 0.5),
        [[1] * len(patch), [0.5] * len(patch)],
        tuple(range(len(patch))),
        dummy_2d,
        use_mask_for_norm=[True, False],
        regions=regions,
        ignore_label=IGNORE,
    )
    for transform in stock.transforms:
        if hasattr(transform, "apply_probability"):
            transform.apply_probability = 0.8
            transform.transform.benchmark = False
        if hasattr(transform, "p_rotation"):
            transform.p_rotation = transform.p_scaling = 0.8
    settings = TrainingSettings.from_block(STOCK).replaced(changes)
    return sparse_transforms(stock, settings, IGNORE)


def batch_of(count, shape):
    """Patches of two channels; every third plane is annotated."""
    rng = np.random.default_rng(count)
    label = torch.from_numpy(rng.integers(0, 3, (count, 1, *shape))).to(torch.int16)
    for plane in range(shape[0]):
        if plane % 3:
            label[:, :, plane] = IGNORE
            label[:, :, plane, :2] = MASKED_IGNORE
    label[..., -2:] = PADDING
    image = torch.from_numpy(rng.normal(size=(count, 2, *shape))).float()
    return {"data": image, "target": label, "keys": [f"case_{n}" for n in range(count)]}


def by_workers(transforms, batch):
    images, targets = [], []
    for image, label in zip(batch["data"], batch["target"], strict=True):
        done = transforms(image=image.clone(), segmentation=label.clone())
        images.append(done["image"])
        targets.append(done["segmentation"])
    if isinstance(targets[0], list):
        return torch.stack(images), [torch.stack(level) for level in zip(*targets, strict=True)]
    return torch.stack(images), [torch.stack(targets)]


def check_equal(transforms, batch):
    seed(0)
    image, targets = by_workers(transforms, batch)
    seed(0)
    copies = {key: value.clone() for key, value in batch.items() if key != "keys"}
    found = DeviceAugmentation(transforms, CPU)(copies | {"keys": batch["keys"]})
    # a grid that nnU-Net made differs by rounding
    torch.testing.assert_close(found["data"], image, rtol=1e-4, atol=1e-4)
    assert found["keys"] == batch["keys"]
    levels = found["target"] if isinstance(found["target"], list) else [found["target"]]
    assert [level.dtype for level in levels] == [target.dtype for target in targets]
    for level, target in zip(levels, targets, strict=True):
        assert torch.equal(level, target)


@pytest.mark.parametrize("label_interpolation", ["joint", "annotated_first"])
@pytest.mark.parametrize("targets", ["nearest", "annotated"])
@pytest.mark.parametrize("regions", [None, [(1, 2), (2,)]])
def test_nnunets_augmentation_is_that_of_the_workers(label_interpolation, targets, regions):
    transforms = stock_transforms(
        (12, 10), regions=regions, label_interpolation=label_interpolation, targets=targets
    )
    check_equal(transforms, batch_of(6, (20, 18)))


@pytest.mark.parametrize("dummy_2d", [False, True])
@pytest.mark.parametrize("padding", ["background", "ignore"])
def test_volumes_are_augmented_as_by_the_workers(dummy_2d, padding):
    transforms = stock_transforms(
        (8, 12, 10),
        dummy_2d=dummy_2d,
        label_interpolation="annotated_first",
        targets="annotated",
        padding=padding,
    )
    check_equal(transforms, batch_of(4, (8 if dummy_2d else 12, 18, 16)))


@pytest.mark.parametrize("patch", [(24, 20), (12, 14, 10)])
def test_recipes_are_augmented_as_by_the_workers(patch):
    recipe, spacing = Recipe(augmentation=AUGMENTATIONS), (1.0,) * len(patch)
    stock = recipe_transforms(recipe, patch, spacing, (len(patch) - 1,), (0,))
    transforms = sparse_transforms(stock, TrainingSettings(targets="nearest"), IGNORE)
    check_equal(transforms, batch_of(3, initial_patch_size(recipe, patch, spacing)))


def test_each_sample_has_parameters_of_its_own():
    recipe = Recipe(augmentation=AUGMENTATIONS)
    transforms = recipe_transforms(recipe, (16, 16), (1.0, 1.0), (1,), ())
    one = batch_of(1, (24, 24))
    batch = {key: one[key].repeat(4, 1, 1, 1) for key in ("data", "target")}
    seed(0)
    found = DeviceAugmentation(transforms, CPU)(batch)["data"]
    for first in range(4):
        for second in range(first):
            assert not torch.allclose(found[first], found[second], atol=0.1)


def test_validation_patches_only_change_their_labels():
    stock = nnUNetTrainer.get_validation_transforms([[1, 1], [0.5, 0.5]], ignore_label=IGNORE)
    transforms = sparse_transforms(stock, TrainingSettings(), IGNORE)
    batch = batch_of(3, (8, 6))
    found = DeviceAugmentation(transforms, CPU)(batch)
    assert torch.equal(found["data"], batch["data"])
    fine, coarse = found["target"]
    assert fine.shape == (3, 1, 8, 6)
    assert coarse.shape == (3, 1, 4, 3)
    assert fine.min() >= 0


def test_transforms_in_transforms_are_found():
    blur = GaussianBlurTransform(1.0, synchronize_channels=True)
    inner = OneOfTransform([RandomTransform(blur, 1)])
    found = on_device(ComposeTransforms([ComposeTransforms([inner])]), CPU)
    new = found.transforms[0].transforms[0].list_of_transforms[0].transform
    assert type(new).__name__ == "DeviceBlurTransform"
    image = torch.randn(2, 9, 8, 7)
    params = blur.get_parameters(image=image)
    torch.testing.assert_close(
        new._apply_to_image(image.clone(), **params),
        blur._apply_to_image(image.clone(), **params),
    )


def test_unknown_transforms_are_refused():
    unknown = ComposeTransforms([InvertImageTransform(1, 1, 1)])
    with pytest.raises(SparseError, match=r"InvertImageTransform works .* augmentation_on=workers"):
        on_device(unknown, torch.device("cuda"))


@pytest.mark.parametrize(
    "change", [{"border_mode_seg": "border"}, {"mode_seg": "bicubic"}, {"seg_tiebreak": "lowest"}]
)
def test_other_ways_of_resampling_labels_are_refused(change):
    options = {"border_mode_seg": "constant", "padding_value_seg": -1} | change
    stock = SpatialTransform((8, 8), 0, False, p_rotation=1, **options)
    ((name, value),) = change.items()
    with pytest.raises(SparseError, match=f"SpatialTransform with {name}={value} works"):
        on_device(ComposeTransforms([stock]), CPU)
    stock.mode_seg = "nearest"
    image, label = torch.randn(1, 12, 12), torch.randint(0, 3, (1, 12, 12), dtype=torch.int16)
    (new,) = on_device(ComposeTransforms([stock]), CPU).transforms
    params = new.get_parameters(image=image)
    expected = stock._apply_to_segmentation(label, **params)
    assert torch.equal(new._apply_to_segmentation(label, **params), expected)


def fake(shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype, device=CUDA)


@pytest.mark.parametrize("shape", [(12, 10), (8, 9, 10)])
def test_nothing_is_left_on_the_processor(shape):
    """PyTorch's fake tensors refuse to mix devices, without a GPU; values they do not have."""
    patch = tuple(side - 2 for side in shape)
    recipe, spacing = Recipe(augmentation=AUGMENTATIONS), (1.0,) * len(patch)
    stock = recipe_transforms(recipe, patch, spacing, (len(patch) - 1,), (0,))
    transforms = on_device(sparse_transforms(stock, TrainingSettings(), IGNORE), CUDA)
    aware = transforms.transforms[0]
    (joint,) = on_device(ComposeTransforms(stock.transforms[:1]), CUDA).transforms
    others = transforms.transforms[1:]
    assert isinstance(others[0], BiasFieldTransform)
    parameters = [one.get_parameters(image=torch.zeros(2, *shape)) for one in others]
    with FakeTensorMode():
        image, label = fake((2, *shape)), fake((1, *shape), torch.int16)
        params = aware.get_parameters(image=image)
        assert params["grid"].device == CUDA
        assert aware._apply_to_image(image, **params).shape == (2, *patch)
        seen = _Surroundings.of(label[0], params["bounds"], PADDING, False)
        points = params["grid"].movedim(-1, 0).reshape(len(shape), -1)
        assert seen.alike().device == CUDA
        assert seen.number(points).device == CUDA
        for transform in (aware, joint):
            assert transform._decide(*seen.around(points)).device == CUDA
        for transform, drawn in zip(others, parameters, strict=True):
            done = transform.apply({"image": image, "segmentation": label}, **drawn)
            assert {part.device for part in done.values()} == {CUDA}
        sums = _summed(fake((1, *shape)) > 0, (1, *(side // 3 for side in shape)))
        assert {part.device for part in sums} == {CUDA}
        assert _blurred(fake(shape), [1.0] * len(shape)).device == CUDA
