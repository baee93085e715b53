"""Targets of deep supervision from sparse annotation.

nnU-Net gives a coarse voxel the label of the voxel nearest to its centre; a single annotated plane
is not nearest to anything at half the resolution, so that coarse outputs are hardly ever trained.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

_ADAPTIVE_POOL: dict[int, Callable[..., torch.Tensor]] = {
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}


def downsample_annotated(
    label: torch.Tensor, scales: Sequence[Sequence[float]], ignore_label: int
) -> list[torch.Tensor]:
    """Give every coarse voxel the most frequent label of the annotated voxels below it.

    Parameters
    ----------
    label
        (1, y, x) or (1, z, y, x), an integer type.
    scales
        For each output, size of its target as a share of the label's, for each axis.
    ignore_label
        Label of voxels that are not annotated.

    Returns
    -------
    list of torch.Tensor
        One target per output, of the label's type; ``ignore_label`` where no voxel below is
        annotated. Among equally frequent labels the smallest wins.
    """
    fine = label[0]
    present = torch.bincount(fine.flatten()).nonzero()[:, 0].tolist()
    values = [value for value in present if value != ignore_label]
    # one axis after the other, and the counts of a coarser level are sums of those of a finer one
    counts = torch.stack([fine == value for value in values]).to(torch.int16) if values else None
    targets = []
    for scale in scales:
        shape = [round(size * share) for size, share in zip(fine.shape, scale, strict=True)]
        if shape == list(fine.shape):
            targets.append(label)
            continue
        target = torch.full((1, *shape), ignore_label, dtype=label.dtype)
        if counts is not None:
            counts = _summed(counts, shape)
            most, which = counts.max(0)
            winners = torch.tensor(values, dtype=label.dtype)[which]
            target[0] = torch.where(most > 0, winners, target[0])
        targets.append(target)
    return targets


def _summed(counts: torch.Tensor, shape: list[int]) -> torch.Tensor:
    """Counts (label, *fine) summed over the voxels below each voxel of a coarser grid."""
    if any(size % coarse for size, coarse in zip(counts.shape[1:], shape, strict=True)):
        return _ADAPTIVE_POOL[len(shape)](counts.float(), shape)
    for axis, coarse in enumerate(shape, start=1):
        factor = counts.shape[axis] // coarse
        before = (slice(None),) * axis
        parts = [counts[(*before, slice(k, None, factor))] for k in range(factor)]
        counts = sum(parts[1:], parts[0])
    return counts.to(torch.int32)
