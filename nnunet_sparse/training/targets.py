"""Targets of deep supervision from sparse annotation.

nnU-Net gives a coarse voxel the label of the voxel nearest to its centre; a single annotated plane
is not nearest to anything at half the resolution, so that coarse outputs are hardly ever trained.
"""

import math
from collections.abc import Sequence

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
    present = torch.bincount(label.flatten()).nonzero()[:, 0].tolist()
    counts = {value: label == value for value in present if value != ignore_label}
    counted: tuple[int, ...] = label.shape
    targets = []
    for scale in scales:
        sizes = zip(label.shape[1:], scale, strict=True)
        shape = (len(label), *(round(size * share) for size, share in sizes))
        if shape == label.shape:
            targets.append(label)
            continue
        if any(n % m for n, m in zip(counted, shape, strict=True)):
            counts = {value: label == value for value in counts}
        target = torch.full(shape, ignore_label, dtype=label.dtype, device=label.device)
        best = torch.zeros(shape, dtype=torch.int32, device=label.device)
        for value in counts:
            # counts of a coarser level are sums of those of a finer one
            counts[value], middle = _summed(counts[value], shape)
            # below one half: it decides among equal counts only
            score = (counts[value] * (2 * _MIDDLE)).add_(middle.clamp(max=_MIDDLE))
            target.masked_fill_(score > best, value)
            torch.maximum(best, score, out=best)
        counted = shape
        targets.append(target)
    return targets


# more than the voxels in the middle of a coarse one; counts of 2**31 / 2**9 voxels fit
_MIDDLE = 2**8


def _summed(fine: torch.Tensor, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums over the voxels below each coarse voxel, and over those of them in its middle.

    Parameters
    ----------
    fine
        Counts, or bool; the first axis counts label maps.
    shape
        Of the coarse grids.

    Returns
    -------
    tuple of torch.Tensor
        Two int32 tensors of this shape.
    """
    below = math.prod(-(-n // m) for n, m in zip(fine.shape, shape, strict=True))
    if fine.dtype == torch.bool:
        fine = fine.view(torch.uint8)
        if below > torch.iinfo(torch.uint8).max:
            fine = fine.int()
    sums = middle = fine
    for axis, size in enumerate(shape[1:], start=1):
        length = sums.shape[axis]
        factor, rest = divmod(length, size)
        if rest:
            starts = [k * length // size for k in range(size)]
            ends = [*starts[1:], length]
            middles = [low + (high - low) // 2 for low, high in zip(starts, ends, strict=True)]
            last, in_middle = (
                torch.tensor(places, device=fine.device)
                for places in ([end - 1 for end in ends], middles)
            )
            through = sums.cumsum(axis, dtype=torch.int32).index_select(axis, last)
            total = torch.cat((through.narrow(axis, 0, 1), through.diff(dim=axis)), axis)
            chosen = middle.index_select(axis, in_middle)
        else:
            parts = [_every(sums, axis, k, factor) for k in range(factor)]
            total = parts[0] + parts[1] if factor > 1 else parts[0]
            for part in parts[2:]:
                total += part
            chosen = _every(middle, axis, factor // 2, factor)
        # all of the first of three axes is the middle
        middle = total if axis == 1 and sums.ndim == 4 else chosen
        sums = total
    return sums.int(), middle.int()


def _every(values: torch.Tensor, axis: int, first: int, step: int) -> torch.Tensor:
    """Every ``step``-th value along an axis."""
    return values.movedim(axis, 0)[first::step].movedim(0, axis)
