"""Batch size, patch size and spacing of the paper's tasks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# every network of the paper takes sides that are multiples of this
MULTIPLE = 16


@dataclass(frozen=True)
class PaperSize:
    """Size of what a network is trained on.

    Attributes
    ----------
    batch_size
        Patches in a batch.
    patch_size
        In voxels: (y, x), or (z, y, x) with z along the slice axis.
    """

    batch_size: int
    patch_size: tuple[int, ...]


@dataclass(frozen=True)
class PaperTask:
    """One of the paper's tasks.

    Attributes
    ----------
    spacing
        In mm, the first one between slices.
    sizes
        By number of dimensions.
    """

    spacing: tuple[float, float, float]
    sizes: dict[int, PaperSize]


TASKS = {
    "LiTS17": PaperTask(
        (1.0, 1.0, 1.0),
        {2: PaperSize(16, (384, 384)), 3: PaperSize(24, (128, 128, 128))},
    ),
    "DBC": PaperTask(
        (1.0, 0.7, 0.7),
        {2: PaperSize(16, (496, 496)), 3: PaperSize(24, (64, 128, 128))},
    ),
    "ATLAS": PaperTask(
        (1.0, 1.0, 1.0),
        {2: PaperSize(16, (256, 224)), 3: PaperSize(54, (64, 96, 96))},
    ),
}


def scaled(size: PaperSize, scale: float) -> PaperSize:
    """A smaller size for smaller cards.

    Parameters
    ----------
    size
        The paper's.
    scale
        From above 0 to 1. The batch is multiplied by it, and is at least 2. Every side of the patch
        is multiplied by it and rounded to a multiple of 16, and is at least 32, or the paper's.
    """
    if scale == 1:
        return size
    batch = min(size.batch_size, max(2, round(size.batch_size * scale)))
    sides = (
        min(side, max(2 * MULTIPLE, MULTIPLE * round(side * scale / MULTIPLE)))
        for side in size.patch_size
    )
    return PaperSize(batch, tuple(sides))


def fitted(patch_size: Sequence[int], image: Sequence[float]) -> list[int]:
    """A patch for images that may be smaller.

    Parameters
    ----------
    patch_size
        Wanted sides; multiples of 16.
    image
        Sides of the median image, in voxels.

    Returns
    -------
    list of int
        Multiples of 16. Slices are contained in their patch: a side is at most the image's, rounded
        up. Patches of volumes lie in the image: rounded down, but at least 16.
    """
    fitting = math.ceil if len(patch_size) == 2 else math.floor
    return [
        min(int(side), max(MULTIPLE, MULTIPLE * fitting(float(most) / MULTIPLE)))
        for side, most in zip(patch_size, image, strict=True)
    ]
