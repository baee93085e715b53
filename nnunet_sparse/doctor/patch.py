"""A training patch as the network sees it."""

from dataclasses import dataclass

import numpy as np

IGNORED = -1


@dataclass(frozen=True)
class Patch:
    """A patch as the network sees it.

    Attributes
    ----------
    case_id
        Its case.
    image
        (channel, *patch) float32.
    targets
        For each output an integer array: IGNORED, 0 for background, the label value or, with
        regions, the number of the last region from 1 on.
    is_outside
        (*patch) bool, voxels outside the image.
    is_straight
        Whether it was neither rotated nor scaled.
    """

    case_id: str
    image: np.ndarray
    targets: tuple[np.ndarray, ...]
    is_outside: np.ndarray
    is_straight: bool

    def annotated(self, level: int) -> np.ndarray:
        """Voxels of an output's target that are annotated and lie in the image."""
        target = self.targets[level]
        outside = self.is_outside
        if target.shape != outside.shape:
            import torch
            import torch.nn.functional as F

            shrunk = F.interpolate(
                torch.from_numpy(outside)[None, None].float(), target.shape, mode="nearest-exact"
            )
            outside = shrunk[0, 0].numpy() > 0
        return np.asarray((target != IGNORED) & ~outside)
