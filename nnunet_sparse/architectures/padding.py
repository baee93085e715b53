"""Bring images to a size that a network can halve often enough, and logits back.

Zeros are put on both sides, as nnU-Net pads its patches: half of the missing voxels before the
image, the other half (and the odd one) behind it. Sides that fit already stay as they are.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


def padded_size(size: Sequence[int], multiple: int) -> tuple[int, ...]:
    """Sides rounded up to a multiple."""
    return tuple(side + -side % multiple for side in size)


def pad_to_multiple(images: torch.Tensor, multiple: int) -> torch.Tensor:
    """Put zeros around images.

    Parameters
    ----------
    images
        (batch, channels, *spatial), any number of spatial dimensions.
    multiple
        What every side shall be a multiple of.

    Returns
    -------
    torch.Tensor
        (batch, channels, *padded); the images themselves if nothing is missing.
    """
    sides = images.shape[2:]
    missing = [new - old for new, old in zip(padded_size(sides, multiple), sides, strict=True)]
    if not any(missing):
        return images
    # F.pad begins with the last dimension
    pads = [pad for n in reversed(missing) for pad in (n // 2, n - n // 2)]
    return F.pad(images, pads)


def crop_to_size(logits: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Take off what :func:`pad_to_multiple` has put around.

    Parameters
    ----------
    logits
        (batch, channels, *padded).
    size
        Spatial size of the images before they were padded.

    Returns
    -------
    torch.Tensor
        (batch, channels, *size).
    """
    for axis, (old, new) in enumerate(zip(logits.shape[2:], size, strict=True), start=2):
        if old != new:
            logits = logits.narrow(axis, (old - new) // 2, new)
    return logits


def check_dimensions(patch_size: Sequence[int], dimensions: int) -> None:
    """Refuse a patch that a network of so many dimensions cannot take.

    Raises
    ------
    ValueError
        If the patch has another number of sides, or a side is shorter than 1.
    """
    if len(patch_size) != dimensions:
        raise ValueError(
            f"it is a {dimensions}D network and needs patches with {dimensions} sides, "
            f"got {list(patch_size)}"
        )
    if min(patch_size) < 1:
        raise ValueError(f"the sides of a patch must be positive, got {list(patch_size)}")


class PaddedNetwork(nn.Module):
    """A network for images whose sides are multiples of a number, used on images of any size.

    Attributes
    ----------
    network
        Maps images (batch, channels, *padded) to logits (batch, num_classes, *padded).
    multiple
        What its sides must be multiples of.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.multiple = multiple
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, *spatial) to logits (batch, num_classes, *spatial)."""
        logits = self.network(pad_to_multiple(images, self.multiple))
        return crop_to_size(logits, images.shape[2:])
