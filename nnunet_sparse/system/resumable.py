"""Training of a network without labels that can be killed and continued."""

import json
import logging
import math
import pickle
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from nnunet_sparse.system.checkpoint import save_checkpoint
from nnunet_sparse.system.devices import half_precision
from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)

_WARM_UP = 0.05
_MAX_GRADIENT = 1.0
_SECONDS_BETWEEN_CHECKPOINTS = 20.0
_SECONDS_BETWEEN_LINES = 60.0
_LOSSES_SHOWN = 50


def train_resumably(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[int], torch.Tensor],
    *,
    learning_rate: float,
    num_steps: int,
    device: torch.device,
    checkpoint: Path,
    record: Mapping[str, Any],
    name: str,
) -> list[float]:
    """Train a network, from where a killed call has left it.

    Where ``loss_of`` depends on the step and the weights alone, a training that was continued ends
    as one that was not, with the same number of threads on the same processor.

    Parameters
    ----------
    network
        On the device; changed in place.
    optimizer
        Of its parameters; the rate is set here: linear warm-up, then half a cosine to 0.
    loss_of
        Loss of a step; called in mixed precision on a GPU.
    learning_rate
        Highest learning rate.
    num_steps
        Length of the whole training.
    device
        Where the network is.
    checkpoint
        File that keeps the state on the way.
    record
        What is trained on what, as JSON holds it; a state of another training is not continued.
    name
        What is trained, for the progress bar and messages.

    Returns
    -------
    list of float
        The loss of every step.

    Raises
    ------
    SparseError
        If the loss is no finite number, or the state cannot be read.
    """
    needs_scaling = half_precision(device) is torch.float16
    scaler = torch.amp.GradScaler(device.type, enabled=needs_scaling)
    parts = {"network": network, "optimizer": optimizer, "scaler": scaler}
    losses = _resume(parts, checkpoint, device, record)
    if losses:
        logger.info("Going on with the %s at step %d of %d", name, len(losses) + 1, num_steps)
    saved = told = time.monotonic()
    with tqdm(
        total=num_steps, initial=len(losses), desc=f"Training {name}", leave=False, disable=None
    ) as bar:
        for step in range(len(losses), num_steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * schedule(step, num_steps)
            with _autocast(device):
                loss = loss_of(step)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), _MAX_GRADIENT)
            scaler.step(optimizer)
            scaler.update()
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise SparseError(
                    f"the loss of the {name} became {losses[-1]} in step {step + 1}: its images "
                    "may hold huge values"
                )
            bar.set_postfix(loss=f"{np.mean(losses[-_LOSSES_SHOWN:]):.3f}")
            bar.update()
            now = time.monotonic()
            if now - saved >= _SECONDS_BETWEEN_CHECKPOINTS and len(losses) < num_steps:
                _save(parts, losses, checkpoint, record)
                saved = now
            if bar.disable and now - told >= _SECONDS_BETWEEN_LINES:
                mean = float(np.mean(losses[-_LOSSES_SHOWN:]))
                logger.info("Step %d of %d, loss %.3f", len(losses), num_steps, mean)
                told = now
    return losses


def schedule(step: int, num_steps: int) -> float:
    """Share of the highest learning rate: linear warm-up, then half a cosine to 0."""
    warm_up = max(1, round(_WARM_UP * num_steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, num_steps - warm_up)))


def torch_generator(*key: int) -> torch.Generator:
    """Source of randomness on the CPU that depends on the key alone."""
    words = np.random.SeedSequence(key).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def _autocast(device: torch.device) -> AbstractContextManager[Any]:
    if device.type == "cuda":
        return torch.autocast("cuda", half_precision(device))
    return nullcontext()


def _save(
    parts: Mapping[str, Any], losses: list[float], checkpoint: Path, record: Mapping[str, Any]
) -> None:
    content = {
        "record": json.dumps(record, sort_keys=True),
        **{name: part.state_dict() for name, part in parts.items()},
        "losses": losses,
    }
    save_checkpoint(content, checkpoint)


def _resume(
    parts: Mapping[str, Any], checkpoint: Path, device: torch.device, record: Mapping[str, Any]
) -> list[float]:
    """Load the state of the same training, if there is one; its losses."""
    if not checkpoint.is_file():
        return []
    try:
        content = torch.load(checkpoint, map_location=device, weights_only=True)
        if content["record"] != json.dumps(record, sort_keys=True):
            return []
        for name, part in parts.items():
            part.load_state_dict(content[name])
        return list(content["losses"])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise SparseError(f"{checkpoint} cannot be continued; delete it to start anew") from error
