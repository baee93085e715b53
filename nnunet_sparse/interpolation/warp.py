"""Warping labels from slice to slice of a volume by the correspondence network.

Shifts that lead out of the slice never take part, whatever the training was. In the published code
they do, for all classes alike, before the class with the largest share wins: it is the same one.
"""

from collections import OrderedDict

import numpy as np
import torch

from nnunet_sparse.interpolation.interpolator_training import volume_scale
from nnunet_sparse.interpolation.network import CorrespondenceNetwork
from nnunet_sparse.interpolation.slice_stack import SliceStack
from nnunet_sparse.interpolation.soft_label import SoftLabel

# features that are kept
_KEPT_BYTES = 2**30


class CorrespondenceWarp:
    """Moves labels of a volume between neighbouring slices.

    Parameters
    ----------
    network
        Trained, in evaluation mode, on its device.
    volume
        The volume, as in training.
    kept_slices
        Number of slices whose features are kept in memory, the latest used ones; None for as many
        as fit into a gigabyte.
    """

    def __init__(
        self,
        network: CorrespondenceNetwork,
        volume: SliceStack,
        kept_slices: int | None = None,
    ) -> None:
        self.network, self.slices = network, volume.slices
        self.device = next(network.parameters()).device
        self.scale = volume_scale(self.slices, network.grey_levels).to(self.device)
        self.shift = network.expected_shift(torch.ones(1, device=self.device), volume.aspect)
        height, width = self.slices.shape[2:]
        of_slice = 2 * network.config["features"] * height * width
        self.kept_slices = max(4, _KEPT_BYTES // of_slice) if kept_slices is None else kept_slices
        self._features: OrderedDict[int, torch.Tensor] = OrderedDict()

    def features(self, i: int) -> torch.Tensor:
        """Features (1, f, y, x) of slice i."""
        if i in self._features:
            self._features.move_to_end(i)
            return self._features[i]
        image = torch.from_numpy(np.asarray(self.slices[i : i + 1], np.float32)).to(self.device)
        with torch.inference_mode():
            self._features[i] = self.network.encode(image, self.scale).half()
        if len(self._features) > self.kept_slices:
            self._features.popitem(last=False)
        return self._features[i]

    @property
    def keeps_all(self) -> bool:
        """Whether the features of all slices are kept."""
        return self.kept_slices >= len(self.slices)

    def encode_all(self) -> None:
        """Compute the features of all slices."""
        for i in range(len(self.slices)):
            self.features(i)

    def __call__(self, moving: SoftLabel, i: int, j: int) -> SoftLabel:
        """Warp the label of slice i to slice j; only around the object anything is computed."""
        radius = self.network.radius
        size = self.slices.shape[2:]
        corner = moving.top, moving.left
        # where the object can come to, and what is looked at from there
        target = [
            _grown(at, n, radius, m)
            for at, n, m in zip(corner, moving.shares.shape[1:], size, strict=True)
        ]
        seen = [
            _grown(t.start, t.stop - t.start, radius, m) for t, m in zip(target, size, strict=True)
        ]
        value = torch.zeros(1, len(moving.values), *(s.stop - s.start for s in seen))
        box = [
            slice(at - s.start, at - s.start + n)
            for at, s, n in zip(corner, seen, moving.shares.shape[1:], strict=True)
        ]
        value[0, :, box[0], box[1]] = torch.from_numpy(moving.shares)
        with torch.inference_mode():
            warped = self.network(
                self.features(j)[:, :, target[0], target[1]],
                self.features(i)[:, :, seen[0], seen[1]],
                value.to(self.device),
                self.shift,
                (target[0].start - seen[0].start, target[1].start - seen[1].start),
            )
        return SoftLabel(
            moving.values, target[0].start, target[1].start, warped[0].cpu().numpy()
        ).trimmed()


def _grown(first: int, size: int, radius: int, limit: int) -> slice:
    return slice(max(0, first - radius), min(limit, first + size + radius))
