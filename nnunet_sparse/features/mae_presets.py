"""Sizes of masked autoencoders and lengths of their trainings."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class MaeSize:
    """Size of the network.

    Attributes
    ----------
    dim, depth, heads
        Width, number of blocks and attention heads of the encoder.
    decoder_dim, decoder_depth, decoder_heads
        The same of the decoder.
    """

    dim: int
    depth: int
    heads: int
    decoder_dim: int
    decoder_depth: int
    decoder_heads: int


@dataclass(frozen=True)
class MaePreset:
    """How large a masked autoencoder is and how long it is trained.

    Attributes
    ----------
    size
        Size of the network.
    max_side
        Largest side of the canvas in pixels.
    batch_size
        Slices per step.
    patches
        Patches of all slices that are shown over the whole training, hidden ones included: what
        the training costs, whatever the size of the slices.
    max_epochs
        Fewer patches are shown where every slice would be shown more often than this.
    min_steps
        Least number of steps, however few slices there are.
    learning_rate
        Highest learning rate.
    masked_share
        Share of a slice's patches that is hidden, below 1. He et al. hide 0.75.
    """

    size: MaeSize
    max_side: int
    batch_size: int
    patches: int
    max_epochs: int
    min_steps: int
    learning_rate: float
    masked_share: float = 0.75

    def num_steps(self, num_slices: int, patches_per_slice: int) -> int:
        """Steps of a training on so many slices."""
        views = min(self.patches // patches_per_slice, self.max_epochs * num_slices)
        return max(self.min_steps, math.ceil(views / self.batch_size))


DEFAULT_MAE_PRESET = "tiny"
MAE_PRESETS = {
    "tiny": MaePreset(MaeSize(192, 1, 3, 64, 1, 1), 64, 64, 16 * 10**6, 30, 400, 1e-3, 0.9),
    "small": MaePreset(MaeSize(384, 8, 6, 192, 4, 6), 128, 128, 5 * 10**8, 800, 2000, 6e-4),
}
