"""The slices that a selector chooses from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.selectors.seen_by_network import SeenByNetwork
from nnunet_sparse.selectors.weights import relative


@dataclass(frozen=True, eq=False)
class Pool:
    """Slices of one volume, or of several, one volume after the other.

    A *position* counts the slices of all volumes of the pool. What a selector does not use may be
    None.

    Attributes
    ----------
    num_slices
        Length of the slice axis of each volume.
    chosen
        shape (n,), bool: slices that are annotated already. They are never chosen again, and
        selectors take into account what they cover.
    weights
        shape (n,), how much each slice counts relative to the others, see
        :mod:`nnunet_sparse.selectors.weights`; None for equal weights.
    features
        shape (n, d), what the slice shows, as numbers.
    classes
        shape (n, c), bool: which classes each slice shows. For simulations: in a real campaign
        nobody knows.
    objects
        Positions of the slices that each connected object crosses; for simulations.
    network
        What a trained network says of the slices.
    """

    num_slices: tuple[int, ...]
    chosen: np.ndarray
    weights: np.ndarray | None = None
    features: np.ndarray | None = None
    classes: np.ndarray | None = None
    objects: tuple[np.ndarray, ...] | None = None
    network: SeenByNetwork | None = None

    @classmethod
    def of_volume(
        cls,
        num_slices: int,
        *,
        weights: np.ndarray | None = None,
        features: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        objects: tuple[np.ndarray, ...] | None = None,
        network: SeenByNetwork | None = None,
    ) -> "Pool":
        """One volume, nothing of which is annotated."""
        chosen = np.zeros(num_slices, dtype=bool)
        return cls((num_slices,), chosen, weights, features, classes, objects, network)

    @classmethod
    def joined(cls, pools: Sequence["Pool"]) -> "Pool":
        """One pool of all volumes, in the order given; at least one, all with the same fields."""
        starts = np.cumsum([0, *(pool.size for pool in pools[:-1])])
        objects = None
        if pools[0].objects is not None:
            objects = tuple(
                object_ + start
                for pool, start in zip(pools, starts, strict=True)
                for object_ in pool.objects or ()
            )

        def stacked(name: str) -> np.ndarray | None:
            parts = [getattr(pool, name) for pool in pools]
            return None if parts[0] is None else np.concatenate(parts)

        seen = [pool.network for pool in pools if pool.network is not None]
        return cls(
            tuple(n for pool in pools for n in pool.num_slices),
            np.concatenate([pool.chosen for pool in pools]),
            stacked("weights"),
            stacked("features"),
            stacked("classes"),
            objects,
            SeenByNetwork.joined(seen) if seen else None,
        )

    @property
    def size(self) -> int:
        """Number of slices, those that are annotated included."""
        return len(self.chosen)

    @property
    def available(self) -> np.ndarray:
        """Ascending positions of the slices that can be chosen, int64."""
        return np.flatnonzero(~self.chosen)

    @property
    def relative_weights(self) -> np.ndarray:
        """Shape (n,), float64: weights as multiples of the smallest, 1 where there are none."""
        return np.ones(self.size) if self.weights is None else relative(self.weights)

    def part(self, positions: np.ndarray) -> "Pool":
        """The pool of some slices only, without weights; volumes of which none is left are gone.

        Parameters
        ----------
        positions
            Ascending positions of the slices.
        """
        ends = np.cumsum(self.num_slices)
        lengths = np.diff(np.searchsorted(positions, ends), prepend=0).tolist()
        objects = None
        if self.objects is not None:
            inside = (np.flatnonzero(np.isin(positions, object_)) for object_ in self.objects)
            objects = tuple(object_ for object_ in inside if len(object_))
        return Pool(
            tuple(length for length in lengths if length),
            self.chosen[positions],
            None,
            None if self.features is None else self.features[positions],
            None if self.classes is None else self.classes[positions],
            objects,
            None if self.network is None else self.network.part(positions),
        )

    @property
    def index_in_volume(self) -> np.ndarray:
        """Shape (n,), int64: index of each slice in its own volume."""
        return np.concatenate([np.arange(n) for n in self.num_slices])
