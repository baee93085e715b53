"""Training of the correspondence network: slices are reconstructed from other slices.

Zhang et al. 2026, appendix F. In every step K random slices of a volume are sorted, and each is
reconstructed from its neighbour among them, of smaller index in one half of the steps and of larger
index in the other. With a probability that grows from 0 (scheduled sampling, Wu et al. 2022) a
reference hands on its own reconstruction instead of its intensities, as labels are handed on from
slice to slice later. Smooth L1 loss, Adam.

Where the papers are silent: the probability grows linearly; gradients pass through reconstructions
that serve as references; slices larger than ``max_side`` are cut to a random window, the most
varied of four; the learning rate follows half a cosine.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from nnunet_sparse.interpolation.edge_profile import difference_scale, grey_level
from nnunet_sparse.interpolation.interpolator_presets import InterpolatorPreset
from nnunet_sparse.interpolation.network import CorrespondenceNetwork
from nnunet_sparse.interpolation.slice_stack import SliceStack
from nnunet_sparse.system.randomness import generator, shuffled
from nnunet_sparse.system.resumable import TrainingSetup, seeded

_WINDOWS_TRIED = 4
_SLICES_FOR_SCALE = 16


def set_up_interpolator(
    volumes: Mapping[str, SliceStack],
    preset: InterpolatorPreset,
    seed: int,
    device: torch.device,
) -> TrainingSetup[CorrespondenceNetwork]:
    """Untrained correspondence network and its loss on volumes.

    Parameters
    ----------
    volumes
        Volumes by case ID; with two slices at least, and all with as many channels.
    preset
        Length and settings.
    seed
        Seed of everything random.
    device
        Where it is trained; in mixed precision on GPUs and on processors with AMX.
    """
    names = sorted(volumes)
    network = seeded(
        seed,
        lambda: CorrespondenceNetwork(
            volumes[names[0]].slices.shape[1],
            preset.radius,
            temperature=preset.temperature,
            spread=preset.spread,
            sharpness=preset.sharpness,
        ),
    )
    network = network.to(device).train()
    scales: dict[str, torch.Tensor] = {}

    def step_loss(step: int) -> torch.Tensor:
        rng = generator(seed, "interpolator", str(step))
        epoch, at = divmod(step, len(names))
        name = shuffled(names, generator(seed, "interpolator volumes", str(epoch)))[at]
        if name not in scales:
            scales[name] = volume_scale(volumes[name].slices, network.grey_levels)
        slices, chosen = draw_slices(
            volumes[name].slices, preset.num_slices, preset.max_side, rng, preset.span
        )
        if rng.random() < 0.5:
            slices, chosen = slices.flip(0), chosen.flip(0)
        shifts = network.expected_shift(chosen.diff().abs(), volumes[name].aspect)
        slices, shifts = slices.to(device), shifts.to(device)
        progress = step / max(1, preset.num_steps - 1)
        handed_on = rng.random(len(slices)) < preset.reconstructed * progress
        found = reconstruct(
            network,
            slices,
            shifts,
            scales[name].to(device),
            handed_on.tolist(),
            bool(preset.outside),
        )
        return F.smooth_l1_loss(found, slices[1:])

    optimizer = torch.optim.Adam(network.parameters(), lr=preset.learning_rate)
    return TrainingSetup(network, optimizer, step_loss, preset.learning_rate, preset.num_steps)


def reconstruct(
    network: CorrespondenceNetwork,
    slices: torch.Tensor,
    shifts: torch.Tensor,
    scale: torch.Tensor,
    handed_on: Sequence[bool],
    outside: bool = False,
) -> torch.Tensor:
    """Reconstruct every slice but the first from the one before it.

    Parameters
    ----------
    network
        The network.
    slices
        (k, channel, y, x).
    shifts
        (k - 1, 2) expected shift of each from the one before it.
    scale
        (channel,) scale of the volume's differences.
    handed_on
        For each slice whether, as a reference, it is replaced by its own reconstruction.
    outside
        Whether shifts out of the slice take part.

    Returns
    -------
    torch.Tensor
        (k - 1, channel, y, x).
    """
    features = network.encode(slices, scale)
    if not any(handed_on[1:-1]):
        whole: torch.Tensor = network(
            features[1:], features[:-1], slices[:-1], shifts, outside=outside
        )
        return whole
    found: list[torch.Tensor] = []
    for i in range(1, len(slices)):
        value = found[-1] if handed_on[i - 1] and found else slices[i - 1 : i]
        target, reference, shift = features[i : i + 1], features[i - 1 : i], shifts[i - 1 : i]
        found.append(network(target, reference, value, shift, outside=outside))
    return torch.cat(found)


def draw_slices(
    volume: np.ndarray,
    num_slices: int,
    max_side: int,
    rng: np.random.Generator,
    span: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random slices of a volume, ascending, cut to a window that they share.

    Parameters
    ----------
    volume
        (n, channel, y, x).
    num_slices
        Number of slices, all if there are fewer.
    max_side
        Largest side of the window; of four random ones that with the most varied intensities.
    rng
        Source of randomness.
    span
        Length of the random stretch from which they are drawn; 0 for the whole volume.

    Returns
    -------
    tuple of torch.Tensor
        (k, channel, height, width) float32, and the indices of the slices, (k,).
    """
    stretch = min(len(volume), max(span, num_slices)) if span else len(volume)
    first = int(rng.random() * (len(volume) - stretch + 1)) if stretch < len(volume) else 0
    chosen = first + np.sort(np.argsort(rng.random(stretch))[:num_slices])
    sides = [min(size, max_side) for size in volume.shape[2:]]
    windows = []
    for _ in range(_WINDOWS_TRIED if sides != list(volume.shape[2:]) else 1):
        top, left = (
            int(rng.random() * (size - side + 1))
            for size, side in zip(volume.shape[2:], sides, strict=True)
        )
        part = volume[chosen, :, top : top + sides[0], left : left + sides[1]]
        windows.append(np.asarray(part, np.float32))
    return torch.from_numpy(max(windows, key=np.std)), torch.from_numpy(chosen)


def volume_scale(volume: np.ndarray, grey_levels: bool = False) -> torch.Tensor:
    """Scale of a volume's differences, (channel,); 1 if constant.

    Parameters
    ----------
    volume
        (n, channel, y, x).
    grey_levels
        The difference of neighbouring grey levels, where the volume has 256, instead of the mean
        absolute difference between neighbouring pixels in some slices all over it.
    """
    if grey_levels:
        level = grey_level(torch.from_numpy(np.asarray(volume, np.float32)))
        return torch.where(level > 0, level, torch.ones_like(level))
    chosen = np.unique(np.linspace(0, len(volume) - 1, _SLICES_FOR_SCALE).astype(int))
    # slice by slice: 48 differences of each pixel stand in memory
    parts = [torch.from_numpy(np.asarray(volume[i : i + 1], np.float32)) for i in chosen]
    median = torch.stack([difference_scale(part) for part in parts]).nanmedian(dim=0).values
    return torch.where(median > 0, median, torch.ones_like(median))
