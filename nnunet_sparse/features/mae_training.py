"""Training of a masked autoencoder that can be killed and continued."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnunet_sparse.features.mae import MaskedAutoencoder
from nnunet_sparse.features.mae_presets import Preset
from nnunet_sparse.system.resumable import torch_generator, train_resumably

_BETAS = (0.9, 0.95)
_WEIGHT_DECAY = 0.05


def train(
    slices: np.ndarray,
    preset: Preset,
    grid: tuple[int, int],
    patch: int,
    seed: int,
    checkpoint: Path,
    device: torch.device,
    record: Mapping[str, Any],
) -> tuple[MaskedAutoencoder, list[float]]:
    """Train a masked autoencoder, from where a killed call has left it.

    Initial weights, order of the slices and masks depend on the seed and the step alone: with the
    same number of threads on the same processor, a training that was continued ends as one that was
    not.

    Parameters
    ----------
    slices
        (n, channel, height, width) float16.
    preset
        Size and length.
    grid, patch
        Patches of the canvas.
    seed
        Seed of everything random.
    checkpoint
        File that keeps the state on the way.
    device
        Where it is trained; on a GPU in mixed precision.
    record
        What is trained on what, as JSON holds it; a state of another training is not continued.

    Returns
    -------
    tuple of MaskedAutoencoder and list of float
        The network, on the CPU, and the loss of every step.

    Raises
    ------
    SparseError
        If the loss is no finite number.
    """
    patches = grid[0] * grid[1]
    network, optimizer = _initial(preset, slices.shape[1], grid, patch, seed, device)
    images = torch.from_numpy(slices)
    if device.type == "cuda" and images.nbytes < 0.5 * torch.cuda.mem_get_info(device)[0]:
        images = images.to(device)

    def loss_of(step: int) -> torch.Tensor:
        chosen = batch_indices(len(slices), preset.batch_size, seed, step)
        noise = torch.rand(len(chosen), patches, generator=torch_generator(seed, 1, step))
        batch = images[chosen.to(images.device)].to(device, torch.float32)
        loss: torch.Tensor = network(batch, noise.to(device))[0]
        return loss

    losses = train_resumably(
        network,
        optimizer,
        loss_of,
        learning_rate=preset.learning_rate,
        num_steps=preset.num_steps(len(slices), patches),
        device=device,
        checkpoint=checkpoint,
        record=record,
        name="masked autoencoder",
    )
    return network.cpu().eval(), losses


def batch_indices(num_slices: int, batch_size: int, seed: int, step: int) -> torch.Tensor:
    """Indices of a step's slices: one permutation of all after the other, cut into batches."""
    positions = torch.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // num_slices
    parts = []
    for epoch in torch.unique(epochs).tolist():
        order = torch.randperm(num_slices, generator=torch_generator(seed, 0, epoch))
        parts.append(order[positions[epochs == epoch] % num_slices])
    return torch.cat(parts)


def _initial(
    preset: Preset,
    channels: int,
    grid: tuple[int, int],
    patch: int,
    seed: int,
    device: torch.device,
) -> tuple[MaskedAutoencoder, torch.optim.Optimizer]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MaskedAutoencoder(preset.size, channels, grid, patch).to(device)
    # biases, tokens and norms are not decayed
    vectors = [p for p in network.parameters() if p.ndim < 2 or 1 in p.shape]
    matrices = [p for p in network.parameters() if not (p.ndim < 2 or 1 in p.shape)]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": _WEIGHT_DECAY},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=preset.learning_rate,
        betas=_BETAS,
    )
    return network.train(), optimizer
