"""Probabilities of some slices of a volume, and what follows from them voxel by voxel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nnunet_sparse.prediction.loaded_network import LoadedNetwork, PreparedImage

_SLAB_BYTES = 2**26


@dataclass(frozen=True)
class ProbabilitySlab:
    """What the members of an ensemble say of some slices, on the grid of the image.

    Attributes
    ----------
    first
        Index of its first slice.
    mean
        (heads, n, y, x) float32, mean of the members' probabilities: of the classes, which add up
        to 1, or of each region by itself. What nnU-Net cuts off around the image is background.
    member_entropy
        (n, y, x) float32, mean of the members' entropies in nats.
    regions_class_order
        Label that each head paints; None where heads are classes.
    """

    first: int
    mean: torch.Tensor
    member_entropy: torch.Tensor
    regions_class_order: tuple[int, ...] | None = None

    @property
    def label(self) -> torch.Tensor:
        """Label that wins, (n, y, x) int64, by nnU-Net's rule."""
        if self.regions_class_order is None:
            return self.mean.argmax(dim=0)
        label = torch.zeros_like(self.member_entropy, dtype=torch.int64)
        for value, probability in zip(self.regions_class_order, self.mean, strict=True):
            label[probability > 0.5] = value
        return label

    @property
    def confidence(self) -> torch.Tensor:
        """Probability of the label that wins, (n, y, x).

        Of regions it is that of the least certain decision.
        """
        if self.regions_class_order is None:
            return self.mean.amax(dim=0)
        return torch.maximum(self.mean, 1 - self.mean).amin(dim=0)

    def head_entropy(self) -> torch.Tensor:
        """Part of each head in the predictive entropy, (heads, n, y, x), in nats."""
        return _head_entropy(self.mean, self.regions_class_order is not None)

    def class_entropy(self, head_entropy: torch.Tensor, num_labels: int) -> torch.Tensor:
        """The same by label, (num_labels, n, y, x), see :class:`SliceScores`."""
        if self.regions_class_order is None:
            return head_entropy
        result = head_entropy.new_zeros((num_labels, *head_entropy.shape[1:]))
        result[0] = _head_entropy(self.mean.amax(dim=0), binary=True)
        for value, entropy in zip(self.regions_class_order, head_entropy, strict=True):
            result[value] += entropy
        return result


def probability_slabs(
    network: LoadedNetwork, image: PreparedImage, axis: int, name: str, scratch: Path
) -> Iterator[ProbabilitySlab]:
    """Predict a volume, some slices at a time.

    What nnU-Net's sliding window needs is held for one fold at a time, and the probabilities of
    some slices; what several folds say lies on disk meanwhile (2 bytes for each voxel, head and
    fold).

    Parameters
    ----------
    network, image
        What predicts what.
    axis
        Slice axis of the array as read.
    name
        What the volume is called in messages.
    scratch
        Folder for the logits of several folds.

    Yields
    ------
    ProbabilitySlab
        From the first slice to the last, on the network's device.

    Raises
    ------
    SparseError, OSError
        As :meth:`LoadedNetwork.logits`.
    """
    order = network.transpose_forward
    along = order.index(axis)
    shape = list(image.properties["shape_before_cropping"])
    box = [slice(*bounds) for bounds in image.properties["bbox_used_for_cropping"]]
    num_slices, inside = shape.pop(along), box.pop(along)
    # the other two axes as they were read
    kept = [a for a in order if a != axis]
    swap = kept != sorted(kept)
    regions = network.network.regions_class_order
    heads = len(network.network.label_values) if regions is None else len(regions)
    at_once = max(1, _SLAB_BYTES // (4 * heads * shape[0] * shape[1]))
    with network.logits(image, axis, name, scratch) as members:
        for first in range(0, num_slices, at_once):
            end = min(first + at_once, num_slices)
            low, high = max(first, inside.start), min(end, inside.stop)
            size = (end - first, *shape)
            mean = torch.zeros((heads, *size), device=network.device)
            if regions is None:
                mean[0] = 1
            entropy = torch.zeros(size, device=network.device)
            if low < high:
                part = slice(low - first, high - first), *box
                planes = (low - inside.start, high - inside.start)
                seen = [
                    network.probabilities(member.planes(*planes, network.device))
                    for member in members
                ]
                mean[slice(None), *part], entropy[part] = _combined(seen, regions is not None)
            if swap:
                mean, entropy = mean.transpose(-1, -2), entropy.transpose(-1, -2)
            yield ProbabilitySlab(first, mean, entropy, regions)


def _combined(members: Sequence[torch.Tensor], binary: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean of the members' probabilities (heads, ...), and of their entropies (...)."""
    mean = torch.stack(list(members)).mean(dim=0) if len(members) > 1 else members[0]
    entropies = [_head_entropy(member, binary).sum(dim=0) for member in members]
    return mean, torch.stack(entropies).mean(dim=0)


def _head_entropy(probability: torch.Tensor, binary: bool) -> torch.Tensor:
    """-p log p in nats, and of a binary decision -(1 - p) log(1 - p) with it."""
    entropy: torch.Tensor = torch.special.entr(probability)
    return entropy + torch.special.entr(1 - probability) if binary else entropy
