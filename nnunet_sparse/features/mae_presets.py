"""Sizes of masked autoencoders and lengths of their trainings."""

import math
from dataclasses import dataclass

from nnunet_sparse.features.default import PRESET_NAMES
from nnunet_sparse.features.mae import MaeSize


@dataclass(frozen=True)
class Preset:
    """How large the network is and how long it is trained.

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
        Fewer where every slice would be shown more often than this.
    min_steps
        No shorter than this, however few slices there are.
    learning_rate
        Highest learning rate.
    """

    size: MaeSize
    max_side: int
    batch_size: int
    patches: int
    max_epochs: int
    min_steps: int
    learning_rate: float

    def num_steps(self, num_slices: int, patches_per_slice: int) -> int:
        """Steps of a training on so many slices."""
        views = min(self.patches // patches_per_slice, self.max_epochs * num_slices)
        return max(self.min_steps, math.ceil(views / self.batch_size))


PRESETS = dict(
    zip(
        PRESET_NAMES,
        (
            Preset(MaeSize(192, 3, 3, 64, 1, 1), 64, 64, 16 * 10**6, 30, 400, 1e-3),
            Preset(MaeSize(384, 8, 6, 192, 4, 6), 128, 128, 5 * 10**8, 800, 2000, 6e-4),
        ),
        strict=True,
    )
)
