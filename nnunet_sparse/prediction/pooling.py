"""How the voxels of a slice become one number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.selectors.network_selector import POOLINGS
from nnunet_sparse.system.errors import SparseError


@dataclass(frozen=True)
class Pooling:
    """What is taken of the values of a slice's voxels.

    Attributes
    ----------
    name
        ``mean``: of all voxels; ``top``: of the share of them with the highest values; ``patch``:
        the highest mean of a square patch that lies in the slice.
    share
        Share of the voxels for ``top``, in (0, 1]; at least one voxel is taken.
    patch_mm
        Side of the square for ``patch``; one that is larger than the slice is cut to it.
    """

    name: str = "mean"
    share: float = 0.1
    patch_mm: float = 20.0

    def __post_init__(self) -> None:
        if self.name not in POOLINGS:
            raise SparseError(f"unknown pooling {self.name!r}, choose from {', '.join(POOLINGS)}")
        if not 0 < self.share <= 1:
            raise SparseError(f"share must lie in (0, 1], got {self.share:g}")
        if not (self.patch_mm > 0 and math.isfinite(self.patch_mm)):
            raise SparseError(f"patch_mm must be a number above 0, got {self.patch_mm:g}")

    @property
    def key(self) -> tuple[str, float]:
        """What the numbers depend on: the name, and the parameter that belongs to it."""
        return self.name, {"top": self.share, "patch": self.patch_mm}.get(self.name, 0.0)

    def pool(self, values: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
        """Pool the last two axes.

        Parameters
        ----------
        values
            (..., y, x) finite numbers.
        spacing_mm
            Spacing along y and x.

        Returns
        -------
        np.ndarray, shape (...), float64
        """
        if self.name == "mean":
            return np.asarray(values.mean(axis=(-2, -1), dtype=np.float64))
        if self.name == "top":
            flat = values.reshape(*values.shape[:-2], -1)
            count = max(1, round(self.share * flat.shape[-1]))
            highest = np.partition(flat, -count, axis=-1)[..., -count:]
            return np.asarray(highest.mean(axis=-1, dtype=np.float64))
        sides = (
            min(length, max(1, round(self.patch_mm / spacing)))
            for length, spacing in zip(values.shape[-2:], spacing_mm, strict=True)
        )
        return _largest_patch(values, *sides)


def _largest_patch(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Highest mean of a patch of so many pixels, from sums over all rows and columns before."""
    no_padding = [(0, 0)] * (values.ndim - 2)
    before = np.pad(values.astype(np.float64), [*no_padding, (1, 0), (1, 0)])
    before = before.cumsum(axis=-2).cumsum(axis=-1)
    rows = before[..., height:, :] - before[..., :-height, :]
    sums = rows[..., width:] - rows[..., :-width]
    highest: np.ndarray = sums.max(axis=(-2, -1)) / (height * width)
    return highest
