"""Memory that a training will need, without training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from nnunet_sparse.architectures.architecture import build_network

_FLOAT_BYTES = 4
# of the optimizer, per parameter
_STATES = {"adamw": 2, "adam": 2, "sgd": 1}


@dataclass(frozen=True)
class TrainingMemory:
    """What a training holds in memory at once, without the buffers of single operations.

    Attributes
    ----------
    num_parameters
        Of the network.
    weights
        Bytes of weights, gradients and the state of the optimizer.
    activations
        Bytes of what the backward pass needs, in float32; mixed precision needs half or more of it.
    """

    num_parameters: int
    weights: int
    activations: int

    @property
    def least(self) -> int:
        """Bytes if all activations had half precision."""
        return self.weights + self.activations // 2

    @property
    def most(self) -> int:
        """Bytes in float32."""
        return self.weights + self.activations


def training_memory(
    architecture: str,
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    batch_size: int,
    options: Mapping[str, Any],
    optimizer: str,
) -> TrainingMemory:
    """Count what a forward pass keeps for the backward pass; nothing is computed or allocated.

    Parameters
    ----------
    architecture, num_input_channels, num_classes, patch_size, options
        As for :func:`nnunet_sparse.architectures.architecture.build_network`.
    batch_size
        Patches in a batch.
    optimizer
        ``adamw``, ``adam`` or ``sgd``.
    """
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with FakeTensorMode():
        network = build_network(architecture, num_input_channels, num_classes, patch_size, options)
        parameters = {p.untyped_storage()._cdata for p in network.parameters()}
        images = torch.empty(batch_size, num_input_channels, *patch_size)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network(images)
    num_parameters = sum(p.numel() for p in network.parameters())
    return TrainingMemory(
        num_parameters,
        num_parameters * _FLOAT_BYTES * (2 + _STATES[optimizer]),
        sum(storage.nbytes() for key, storage in kept.items() if key not in parameters),
    )
