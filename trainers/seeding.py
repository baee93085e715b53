"""Randomness of a training as a function of its repeat number.

Every use of randomness has a stream of its own, and every batch its own seed. Batch k is therefore
the same batch whatever number of processes makes it, and a training that was interrupted goes on
with the batches that it would have seen.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter

from nnunet_sparse.system.workers import end_with_parent

# nnU-Net's own number of batches that wait in memory
_NUM_CACHED = 6
_WAIT_S = 0.002


class Stream(IntEnum):
    """What randomness is used for."""

    WEIGHTS = 0
    TRAINING_BATCHES = 1
    VALIDATION_BATCHES = 2
    EPOCHS = 3
    AUGMENTATION = 4


def seed_everything(*entropy: int) -> None:
    """Seed python, numpy and torch (with its GPUs) from non-negative integers."""
    python_seed, numpy_seed, torch_seed = _seeds(entropy)
    random.seed(python_seed)
    np.random.seed(numpy_seed)  # noqa: NPY002 - nnU-Net draws from numpy's global generator
    torch.manual_seed(torch_seed)


@contextmanager
def seeded(*entropy: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed python, numpy and torch's CPU generator for a block, then put them back.

    The generator of ``device`` is seeded as well, and left as it is then.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    python_seed, numpy_seed, torch_seed = _seeds(entropy)
    random.seed(python_seed)
    np.random.seed(numpy_seed)  # noqa: NPY002
    torch.default_generator.manual_seed(torch_seed)
    if device is not None and device.type != "cpu":
        torch.get_device_module(device).manual_seed(torch_seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)


class SeededAugmentation:
    """What is done with successive batches; with batch k it depends on the seed and k alone.

    Parameters
    ----------
    augment
        Makes one batch of another, with the global generators and that of the device.
    device
        Where it does.
    seed, first
        As for :class:`SeededLoader`.
    """

    def __init__(
        self,
        augment: Callable[[Any], Any],
        device: torch.device,
        seed: tuple[int, ...],
        first: int,
    ) -> None:
        self.augment = augment
        self.device = device
        self.seed = seed
        self.next_batch = first

    def __call__(self, batch: Any) -> Any:
        """Augment the next batch."""
        with seeded(*self.seed, self.next_batch, device=self.device):
            augmented = self.augment(batch)
        self.next_batch += 1
        return augmented


class SeededLoader:
    """A data loader of nnU-Net whose batch k depends on the seed and k alone.

    Parameters
    ----------
    loader
        Makes batches from the global generators of python, numpy and torch.
    seed
        Non-negative integers that identify the training and the use of the batches.
    first
        Number of the first batch.
    num_workers
        Number of processes that share the batches: worker w makes ``first + w``,
        ``first + w + num_workers``, ...
    then
        What the process that asks for the batches does with them.
    """

    def __init__(
        self,
        loader: Any,
        seed: tuple[int, ...],
        first: int,
        num_workers: int,
        then: SeededAugmentation | None = None,
    ) -> None:
        self.loader = loader
        self.then = then
        self.seed = seed
        self.next_batch = first
        self.step = max(1, num_workers)

    def set_thread_id(self, thread_id: int) -> None:
        """Become worker ``thread_id``; called once in a new process."""
        end_with_parent()
        torch.set_num_threads(1)
        self.loader.set_thread_id(thread_id)
        self.next_batch += thread_id

    def __iter__(self) -> "SeededLoader":
        return self

    def __next__(self) -> Any:
        with seeded(*self.seed, self.next_batch):
            batch = next(self.loader)
        self.next_batch += self.step
        return batch if self.then is None else self.then(batch)


class _Workers(MultiThreadedAugmenter):  # type: ignore[misc]
    """Processes that make batches, and what this process does with them."""

    then: SeededAugmentation | None = None

    def __next__(self) -> Any:
        batch = super().__next__()
        return batch if self.then is None else self.then(batch)


def seeded_batches(
    loader: Any,
    seed: tuple[int, ...],
    first: int,
    num_workers: int,
    pin_memory: bool,
    then: SeededAugmentation | None = None,
) -> Any:
    """Iterator over the batches of ``loader`` from number ``first`` on, in order.

    Parameters
    ----------
    loader, seed, first
        As for :class:`SeededLoader`.
    num_workers
        Number of processes that make batches; with 0, this process does.
    pin_memory
        Whether batches are handed over in pinned memory.
    then
        What this process does with every batch.
    """
    if num_workers == 0:
        return SeededLoader(loader, seed, first, 0, then)
    workers = _Workers(
        SeededLoader(loader, seed, first, num_workers),
        None,
        num_workers,
        num_cached_per_queue=max(1, _NUM_CACHED // num_workers),
        pin_memory=pin_memory,
        wait_time=_WAIT_S,
    )
    workers.then = then
    return workers


def _seeds(entropy: tuple[int, ...]) -> list[int]:
    return [int(word) for word in np.random.SeedSequence(entropy).generate_state(3)]
