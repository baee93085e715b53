from importlib import import_module

import pytest

from nnunet_sparse.architectures import (
    ARCHITECTURES,
    architecture_dimensions,
    architecture_options,
    build_network,
)
from nnunet_sparse.architectures.unet3d import UNet3D
from nnunet_sparse.system.errors import SparseError


@pytest.mark.parametrize(("name", "module"), ARCHITECTURES.items())
def test_every_module_can_build(name, module):
    assert module.rpartition(".")[2] == name
    assert callable(import_module(module).build)
    assert architecture_options(name)


def test_dimensions():
    flat = [name for name in ARCHITECTURES if architecture_dimensions(name) == 2]
    assert flat == ["inception_unet", "segformer", "cam_wnet"]


def test_options_are_read_from_the_module():
    assert architecture_options("unet3d") == {
        "base_features": 32,
        "downscale": 2,
        "shrink_labels": False,
    }


def test_options_change_the_network():
    network = build_network("unet3d", 1, 2, (16, 16, 16), {"base_features": 4, "downscale": 1})
    assert isinstance(network, UNet3D)
    assert network.downscale == 1
    assert network.head.in_channels == 8


@pytest.mark.parametrize("name", ["unet_3d", "Unet3D"])
def test_unknown_architecture(name):
    message = rf"unknown architecture '{name}' \(did you mean 'unet3d'\?\); choose from inception_"
    with pytest.raises(SparseError, match=message):
        build_network(name, 1, 2, (16, 16, 16), {})


def test_no_suggestion_for_gibberish():
    with pytest.raises(SparseError, match="unknown architecture 'qqq'; choose from"):
        architecture_options("qqq")


def test_unknown_option():
    message = r"'unet3d' has no option 'base_feature' \(did you mean 'base_features'\?\); it has "
    with pytest.raises(SparseError, match=message + "base_features, downscale, shrink_labels$"):
        build_network("unet3d", 1, 2, (16, 16, 16), {"base_feature": 4})


@pytest.mark.parametrize(
    ("name", "key", "value", "default"),
    [
        ("unet3d", "base_features", "many", "32"),
        ("unet3d", "base_features", 4.0, "32"),
        ("unet3d", "base_features", 0, "32"),
        ("unet3d", "base_features", True, "32"),
        ("unet3d", "base_features", None, "32"),
        ("unet3d", "downscale", -1, "2"),
        ("segresnet", "dropout", 1, "0.0"),
        ("segresnet", "blocks_up", [1, "1", 1], r"\[1, 1, 1\]"),
        ("segresnet", "blocks_up", [], r"\[1, 1, 1\]"),
        ("segresnet", "blocks_up", "111", r"\[1, 1, 1\]"),
        ("inception_unet", "dropout", 0.1, r"\[0.1, 0.1, 0.2, 0.2\]"),
        ("inception_unet", "batch_norm", 1, "False"),
        ("cam_wnet", "vgg_channels", [64, 64], r"\[\[64, 64\], \[128, 128\], .*\]"),
    ],
)
def test_wrong_values(name, key, value, default):
    patch = (16,) * architecture_dimensions(name)
    with pytest.raises(
        SparseError, match=f"{key!r} of architecture {name!r}.*{default}, got "
    ) as error:
        build_network(name, 1, 2, patch, {key: value})
    assert str(error.value).endswith(repr(value))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unetr", {"num_heads": 5}, "divisible by num_heads"),
        ("segresnet", {"blocks_up": [1, 1]}, "blocks_up must have one number less"),
        ("segresnet", {"init_filters": 5}, "num_channels"),
    ],
)
def test_values_that_do_not_fit(name, options, message):
    with pytest.raises(
        SparseError, match=f"architecture {name!r} cannot be built: .*{message}"
    ) as error:
        build_network(name, 1, 2, (16, 16, 16), options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_patches_of_the_wrong_dimensions(name):
    dimensions = architecture_dimensions(name)
    patch = (16,) * (5 - dimensions)
    message = f"{name!r} cannot be built: it is a {dimensions}D network .* got \\[16, 16"
    with pytest.raises(SparseError, match=message):
        build_network(name, 1, 2, patch, {})
