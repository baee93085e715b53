"""What a trained network says of the slices that a selector chooses from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

_ARRAYS = ("entropy", "bald", "class_entropy", "predicted", "position_mm")


@dataclass(frozen=True, eq=False)
class SeenByNetwork:
    """What a network, or an ensemble of some, says of the slices of a pool, in its order.

    Attributes
    ----------
    entropy
        shape (n,), predictive entropy of the slice's voxels, pooled, in nats.
    bald
        shape (n,), mutual information of prediction and network, pooled, in nats; 0 for a single
        network.
    class_entropy
        shape (n, c), what each label adds to the entropy, pooled; the first label is background.
    predicted
        shape (n, c), number of voxels that are predicted as each label.
    position_mm
        shape (n,), place of each slice along the slice axis of its volume, in mm.
    num_networks
        Size of the ensemble.
    round_number
        Which addition to the first choice this is, from 1 on.
    """

    entropy: np.ndarray
    bald: np.ndarray
    class_entropy: np.ndarray
    predicted: np.ndarray
    position_mm: np.ndarray
    num_networks: int = 1
    round_number: int = 1

    @classmethod
    def joined(cls, parts: Sequence["SeenByNetwork"]) -> "SeenByNetwork":
        """What is said of several volumes by one ensemble in one round; at least one."""
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS
        }
        return replace(parts[0], **arrays)

    def part(self, positions: np.ndarray) -> "SeenByNetwork":
        """The same of some positions only."""
        arrays: dict[str, Any] = {name: getattr(self, name)[positions] for name in _ARRAYS}
        return replace(self, **arrays)

    def check(self, size: int) -> None:
        """Refuse what does not belong to a pool of that size.

        Raises
        ------
        ValueError
            If an array has another length or holds something else than finite numbers, or a label
            has an entropy and no size.
        """
        for name in _ARRAYS:
            values = getattr(self, name)
            if len(values) != size:
                raise ValueError(f"{len(values)} {name} for {size} slices")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite numbers")
        if self.class_entropy.shape != self.predicted.shape:
            raise ValueError(
                f"class_entropy has shape {self.class_entropy.shape}, predicted "
                f"{self.predicted.shape}"
            )
