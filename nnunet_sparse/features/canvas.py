"""The canvas on which slices of any size and spacing are shown to one network."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# patches along the longer side of the canvas
_PATCHES = 16
_MIN_PATCH = 2


@dataclass(frozen=True)
class Canvas:
    """Size and scale at which slices are drawn.

    All slices of a data set are drawn with square pixels of one size in mm, in the middle of the
    canvas, which holds all but exceptionally large ones: a structure has the same size in every
    slice that fits.

    Attributes
    ----------
    pixel_mm
        Side of a pixel.
    height, width
        Size in pixels, multiples of ``patch``.
    patch
        Side of the square patches into which the network cuts it.
    """

    pixel_mm: float
    height: int
    width: int
    patch: int

    @property
    def grid(self) -> tuple[int, int]:
        """Number of patches along the height and the width."""
        return self.height // self.patch, self.width // self.patch

    def to_json(self) -> dict[str, Any]:
        """Its attributes."""
        return asdict(self)


def plan_canvas(
    shapes: Sequence[tuple[int, int]], spacings_mm: Sequence[tuple[float, float]], max_side: int
) -> Canvas:
    """Canvas for slices of the given sizes.

    Parameters
    ----------
    shapes
        Height and width of the slices of each volume, in voxels.
    spacings_mm
        Spacing along height and width.
    max_side
        Largest side of the canvas in pixels, before it is rounded up to whole patches. A pixel is
        the smallest in-plane spacing (of the median volume), or larger where the largest slice
        would not fit. Slices of more than twice the median size do not count.
    """
    extents = np.array(shapes, float) * np.array(spacings_mm, float)
    extents = np.minimum(extents, 2 * np.median(extents, axis=0))
    native = float(np.median(np.min(np.array(spacings_mm, float), axis=1)))
    pixel_mm = max(native, float(extents.max()) / max_side)
    # a little less, so that rounding does not add a row to volumes of exactly this size
    pixels = [max(1, math.ceil(extent / pixel_mm - 1e-6)) for extent in extents.max(axis=0)]
    patch = max(_MIN_PATCH, -(-max(pixels) // _PATCHES))
    height, width = (-(-side // patch) * patch for side in pixels)
    if height == width == patch:
        # one patch must be seen, and another one hidden
        height = 2 * patch
    return Canvas(pixel_mm, height, width, patch)
