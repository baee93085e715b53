"""Training of a masked autoencoder that can be killed and continued."""

import json
import math
import pickle
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from nnunet_sparse.atomic import atomic_path
from nnunet_sparse.errors import SparseError
from nnunet_sparse.features.mae import MaskedAutoencoder
from nnunet_sparse.features.presets import Preset

_WARM_UP = 0.05
_BETAS = (0.9, 0.95)
_WEIGHT_DECAY = 0.05
_MAX_GRADIENT = 1.0
_STEPS_BETWEEN_CHECKPOINTS = 200
_LOSSES_SHOWN = 50


@dataclass
class TrainingState:
    """What a training needs to go on."""

    network: MaskedAutoencoder
    optimizer: torch.optim.Optimizer
    losses: list[float]

    @property
    def step(self) -> int:
        """Number of steps done."""
        return len(self.losses)


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
    num_steps = preset.num_steps(len(slices), grid[0] * grid[1])
    state = _initial_state(preset, slices.shape[1], grid, patch, seed, device)
    scaler = torch.amp.GradScaler(device.type, enabled=_precision(device) is torch.float16)
    _resume(state, scaler, checkpoint, device, record)
    images = torch.from_numpy(slices)
    if device.type == "cuda" and images.nbytes < 0.5 * torch.cuda.mem_get_info(device)[0]:
        images = images.to(device)
    batches = _batches(len(slices), preset.batch_size, seed, state.step, num_steps)
    with tqdm(
        total=num_steps, initial=state.step, desc="Training MAE", leave=False, disable=None
    ) as bar:
        for chosen in batches:
            noise = torch.rand(
                len(chosen), grid[0] * grid[1], generator=_generator(seed, 1, state.step)
            )
            batch = images[chosen.to(images.device)].to(device, torch.float32)
            for group in state.optimizer.param_groups:
                group["lr"] = preset.learning_rate * _schedule(state.step, num_steps)
            with _autocast(device):
                loss, _, _ = state.network(batch, noise.to(device))
            state.optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.unscale_(state.optimizer)
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), _MAX_GRADIENT)
            scaler.step(state.optimizer)
            scaler.update()
            state.losses.append(float(loss.detach()))
            if not math.isfinite(state.losses[-1]):
                raise SparseError(
                    f"the loss of the masked autoencoder became {state.losses[-1]} in step "
                    f"{state.step}: its images may hold huge values"
                )
            bar.set_postfix(loss=f"{np.mean(state.losses[-_LOSSES_SHOWN:]):.3f}")
            bar.update()
            if state.step % _STEPS_BETWEEN_CHECKPOINTS == 0 and state.step < num_steps:
                _save(state, scaler, checkpoint, record)
    return state.network.cpu().eval(), state.losses


def _autocast(device: torch.device) -> AbstractContextManager[Any]:
    if device.type == "cuda":
        return torch.autocast("cuda", _precision(device))
    return nullcontext()


def _precision(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _initial_state(
    preset: Preset,
    channels: int,
    grid: tuple[int, int],
    patch: int,
    seed: int,
    device: torch.device,
) -> TrainingState:
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
    return TrainingState(network.train(), optimizer, [])


def _save(state: TrainingState, scaler: Any, checkpoint: Path, record: Mapping[str, Any]) -> None:
    content = {
        "record": json.dumps(record, sort_keys=True),
        "scaler": scaler.state_dict(),
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "losses": state.losses,
    }
    with atomic_path(checkpoint) as temporary:
        torch.save(content, temporary)


def _resume(
    state: TrainingState,
    scaler: Any,
    checkpoint: Path,
    device: torch.device,
    record: Mapping[str, Any],
) -> None:
    if not checkpoint.is_file():
        return
    try:
        content = torch.load(checkpoint, map_location=device, weights_only=True)
        if content["record"] != json.dumps(record, sort_keys=True):
            return
        state.network.load_state_dict(content["network"])
        state.optimizer.load_state_dict(content["optimizer"])
        scaler.load_state_dict(content["scaler"])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise SparseError(f"{checkpoint} cannot be continued; delete it to start anew") from error
    state.losses = list(content["losses"])


def _schedule(step: int, num_steps: int) -> float:
    """Share of the highest learning rate: linear warm-up, then a half cosine to 0."""
    warm_up = max(1, round(_WARM_UP * num_steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, num_steps - warm_up)))


def _batches(
    num_slices: int, batch_size: int, seed: int, first: int, num_steps: int
) -> Iterator[torch.Tensor]:
    """Indices of each batch: one permutation after the other, cut into batches."""
    epoch = -1
    order = torch.zeros(0, dtype=torch.long)
    for step in range(first, num_steps):
        positions = torch.arange(step * batch_size, (step + 1) * batch_size)
        parts = []
        for number in torch.unique(positions // num_slices).tolist():
            if number != epoch:
                order = torch.randperm(num_slices, generator=_generator(seed, 0, number))
                epoch = number
            parts.append(order[positions[positions // num_slices == number] % num_slices])
        yield torch.cat(parts)


def _generator(seed: int, purpose: int, number: int) -> torch.Generator:
    words = np.random.SeedSequence((seed, purpose, number)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
