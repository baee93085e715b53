"""Targets of deep supervision from sparse annotation.

nnU-Net gives a coarse voxel the label of the voxel nearest to its centre; a single annotated plane
is not nearest to anything at half the resolution, so that coarse outputs are hardly ever trained.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def downsample_annotated(
    label: torch.Tensor, scales: Sequence[Sequence[float]], ignore_label: int
) -> list[torch.Tensor]:
    """Give every coarse voxel the most frequent label of the annotated voxels below it.

    Parameters
    ----------
    label
        (n, y, x) or (n, z, y, x), n label maps; an integer type, no value below 0.
    scales
        For each output, size of its target as a share of the label's, for each axis.
    ignore_label
        Label of voxels that are not annotated.

    Returns
    -------
    list of torch.Tensor
        One target per output, of the label's type; ``ignore_label`` where no voxel below is
        annotated. Among equally frequent labels that of the voxel in the middle wins (in three
        dimensions: that which is most frequent in the middle row along the first axis), then the
        smallest.
    """
    fine = label.numpy()
    counts = {
        int(value): fine == value
        for value in np.flatnonzero(np.bincount(fine.reshape(-1)))
        if value != ignore_label
    }
    counted = fine.shape
    targets = []
    for scale in scales:
        sizes = zip(fine.shape[1:], scale, strict=True)
        shape = (len(fine), *(round(size * share) for size, share in sizes))
        if shape == fine.shape:
            targets.append(label)
            continue
        if any(n % m for n, m in zip(counted, shape, strict=True)):
            counts = {value: fine == value for value in counts}
        target, best = np.full(shape, ignore_label, fine.dtype), np.zeros(shape, np.int32)
        for value in counts:
            # counts of a coarser level are sums of those of a finer one
            counts[value], middle = _summed(counts[value], shape)
            # below one half: it decides among equal counts only
            score = counts[value] * np.int32(2 * _MIDDLE) + np.minimum(middle, _MIDDLE)
            target[score > best] = value
            np.maximum(best, score, out=best)
        counted = shape
        targets.append(torch.from_numpy(target))
    return targets


# more than the voxels in the middle of a coarse one; counts of 2**31 / 2**9 voxels fit
_MIDDLE = 2**8


def _summed(fine: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the voxels below each coarse voxel, and over those of them in its middle.

    Parameters
    ----------
    fine
        Counts, or bool; the first axis counts label maps.
    shape
        Of the coarse grids.

    Returns
    -------
    tuple of np.ndarray
        Two int32 arrays of this shape.
    """
    below = math.prod(-(-n // m) for n, m in zip(fine.shape, shape, strict=True))
    if fine.dtype == bool:
        fine = fine.view(np.uint8)
        if below > np.iinfo(np.uint8).max:
            fine = fine.astype(np.int32)
    sums = middle = fine
    for axis, size in enumerate(shape[1:], start=1):
        before = (slice(None),) * axis
        factor, rest = divmod(sums.shape[axis], size)
        if rest:
            starts = np.arange(size) * sums.shape[axis] // size
            in_middle: Any = starts + np.diff(starts, append=sums.shape[axis]) // 2
            total = np.add.reduceat(sums, starts, axis)
        else:
            in_middle = slice(factor // 2, None, factor)
            parts = [sums[(*before, slice(k, None, factor))] for k in range(factor)]
            total = sum(parts[1:], parts[0])
        # all of the first of three axes is the middle
        middle = total if axis == 1 and sums.ndim == 4 else middle[(*before, in_middle)]
        sums = total
    return sums.astype(np.int32, copy=False), middle.astype(np.int32, copy=False)
