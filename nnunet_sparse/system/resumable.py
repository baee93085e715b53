"""Training of a network that can be killed and resumed."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from nnunet_sparse.system.checkpoint import DAMAGED, load_checkpoint, save_checkpoint
from nnunet_sparse.system.devices import half_precision
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import duration

logger = logging.getLogger(__name__)

_WARM_UP = 0.05
_MAX_GRADIENT = 1.0
_SECONDS_BETWEEN_CHECKPOINTS = 20.0
_SECONDS_BETWEEN_LINES = 60.0
_LOSSES_SHOWN = 50


Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class TrainingSetup(Generic[Network]):
    """A network that is ready to be trained.

    Attributes
    ----------
    network
        On the device, in training mode, with its initial weights.
    optimizer
        Of its parameters; the learning rate is set in every step.
    step_loss
        Loss of the step of this number, from 0.
    learning_rate
        Highest learning rate: linear warm-up, then half a cosine to 0.
    num_steps
        Length of the whole training.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    step_loss: Callable[[int], torch.Tensor]
    learning_rate: float
    num_steps: int


def seeded(seed: int, build: Callable[[], Network]) -> Network:
    """Network with initial weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def train_resumably(
    setup: TrainingSetup[Network],
    device: torch.device,
    checkpoint: Path,
    record: Mapping[str, Any],
    name: str,
) -> list[float]:
    """Train a network, from the step at which a killed call stopped.

    Where the loss depends on the step and the weights alone, a resumed training gives the same
    weights as an undisturbed one, with the same number of threads on the same processor.

    Parameters
    ----------
    setup
        What is trained; its network is changed in place, and is on the CPU and in evaluation mode
        afterwards.
    device
        Where the network is; on a GPU it is trained in mixed precision.
    checkpoint
        File that keeps the state of an unfinished training.
    record
        What is trained on what, as JSON holds it; the state of another training is not resumed.
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
    network, optimizer, num_steps = setup.network, setup.optimizer, setup.num_steps
    needs_scaling = half_precision(device) is torch.float16
    scaler = torch.amp.GradScaler(device.type, enabled=needs_scaling)
    parts = {"network": network, "optimizer": optimizer, "scaler": scaler}
    losses = _resume(parts, checkpoint, device, record)
    if losses:
        logger.info("Going on with the %s at step %d of %d", name, len(losses) + 1, num_steps)
    if len(losses) < num_steps:
        seconds = (num_steps - len(losses)) * _seconds_per_step(setup, scaler, device)
        logger.info("This takes about %s", duration(seconds))
    saved = told = time.monotonic()
    with tqdm(
        total=num_steps, initial=len(losses), desc=f"Training {name}", leave=False, disable=None
    ) as bar:
        for step in range(len(losses), num_steps):
            for group in optimizer.param_groups:
                group["lr"] = setup.learning_rate * schedule(step, num_steps)
            loss = _backward(setup, scaler, device, step)
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
    network.cpu().eval()
    return losses


def _backward(
    setup: TrainingSetup[Network], scaler: torch.amp.GradScaler, device: torch.device, step: int
) -> torch.Tensor:
    """Leave the gradients of a step; returns its loss."""
    with _autocast(device):
        loss = setup.step_loss(step)
    setup.optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    return loss


def _seconds_per_step(
    setup: TrainingSetup[Network], scaler: torch.amp.GradScaler, device: torch.device
) -> float:
    """Time of a step, found by two whose gradients are thrown away; the first warms up."""
    kept = {name: value.clone() for name, value in setup.network.named_buffers()}
    for _ in range(2):
        start = time.monotonic()
        float(_backward(setup, scaler, device, 0).detach())  # waits for a GPU
    seconds = time.monotonic() - start
    for name, value in setup.network.named_buffers():
        value.copy_(kept[name])
    return seconds


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
        content = load_checkpoint(checkpoint, device)
        if content["record"] != json.dumps(record, sort_keys=True):
            return []
        for name, part in parts.items():
            part.load_state_dict(content[name])
        return list(content["losses"])
    except DAMAGED as error:
        raise SparseError(f"{checkpoint} cannot be continued; delete it to start anew") from error
