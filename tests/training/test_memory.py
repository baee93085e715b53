import pytest
import torch
from torch import nn

from nnunet_sparse.training import memory
from nnunet_sparse.training.memory import training_memory


def test_two_layers_by_hand(monkeypatch):
    """What is kept: input of each convolution, output of ReLU (the second's input), weights not."""

    def build(*_):
        return nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1))

    monkeypatch.setattr(memory, "build_network", build)
    found = training_memory("any", 2, 3, (16, 10), 5, {}, "adamw")
    assert found.num_parameters == 2 * 8 * 9 + 8 + 8 * 3 + 3
    assert found.weights == 16 * found.num_parameters
    assert found.activations == 4 * 5 * 16 * 10 * (2 + 8)
    assert found.least == found.weights + found.activations // 2


@pytest.mark.parametrize("architecture", ["inception_unet", "unet3d"])
def test_memory_grows_with_the_batch(architecture):
    patch = (32, 32) if architecture == "inception_unet" else (32, 32, 32)
    one, four = (training_memory(architecture, 1, 2, patch, n, {}, "sgd") for n in (1, 4))
    assert one.weights == four.weights == 12 * one.num_parameters
    assert 3.9 * one.activations < four.activations <= 4 * one.activations


def test_real_tensors_keep_as_much():
    from nnunet_sparse.architectures.architecture import build_network

    sizes = {}

    def keep(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    options = {"init_filters": 8}
    network = build_network("segresnet", 1, 2, (16, 16, 16), options)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(2, 1, 16, 16, 16))
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    real = sum(size for pointer, size in sizes.items() if pointer not in weights)
    found = training_memory("segresnet", 1, 2, (16, 16, 16), 2, options, "adamw")
    assert found.activations == pytest.approx(real, rel=0.15)
