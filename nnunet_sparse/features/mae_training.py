"""What a masked autoencoder is trained on, step by step."""

import numpy as np
import torch

from nnunet_sparse.features.mae import MaskedAutoencoder
from nnunet_sparse.features.mae_presets import MaePreset
from nnunet_sparse.system.resumable import TrainingSetup, seeded, torch_generator

_BETAS = (0.9, 0.95)
_WEIGHT_DECAY = 0.05
# share of a GPU's free memory up to which all slices are kept there
_GPU_SHARE = 0.5


def set_up_mae(
    slices: np.ndarray,
    preset: MaePreset,
    grid: tuple[int, int],
    patch: int,
    seed: int,
    device: torch.device,
) -> TrainingSetup[MaskedAutoencoder]:
    """Untrained masked autoencoder and its loss on slices.

    Initial weights, order of the slices and masks depend on the seed and the step alone.

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
    device
        Where it is trained.
    """
    patches = grid[0] * grid[1]
    network = seeded(seed, lambda: MaskedAutoencoder(preset.size, slices.shape[1], grid, patch))
    network = network.to(device).train()
    images = torch.from_numpy(slices)
    if device.type == "cuda" and images.nbytes < _GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
        images = images.to(device)

    def step_loss(step: int) -> torch.Tensor:
        chosen = batch_indices(len(slices), preset.batch_size, seed, step)
        noise = torch.rand(len(chosen), patches, generator=torch_generator(seed, 1, step))
        batch = images[chosen.to(images.device)].to(device, torch.float32)
        loss: torch.Tensor = network(batch, noise.to(device), preset.masked_share)[0]
        return loss

    return TrainingSetup(
        network,
        _optimizer(network, preset.learning_rate),
        step_loss,
        preset.learning_rate,
        preset.num_steps(len(slices), patches),
    )


def batch_indices(num_slices: int, batch_size: int, seed: int, step: int) -> torch.Tensor:
    """Indices of a step's slices: one permutation of all after the other, cut into batches."""
    positions = torch.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // num_slices
    parts = []
    for epoch in torch.unique(epochs).tolist():
        order = torch.randperm(num_slices, generator=torch_generator(seed, 0, epoch))
        parts.append(order[positions[epochs == epoch] % num_slices])
    return torch.cat(parts)


def _optimizer(network: MaskedAutoencoder, learning_rate: float) -> torch.optim.Optimizer:
    """AdamW that does not decay biases, tokens and norms."""
    vectors = [p for p in network.parameters() if p.ndim < 2 or 1 in p.shape]
    matrices = [p for p in network.parameters() if not (p.ndim < 2 or 1 in p.shape)]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": _WEIGHT_DECAY},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=learning_rate,
        betas=_BETAS,
    )
