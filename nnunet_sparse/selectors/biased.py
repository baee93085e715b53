"""Selections that are biased on purpose: experiments that the paper leaves to the future.

With weights a slice is by its weight nearer to where the selection starts.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register
from nnunet_sparse.selectors.selector import Selector

_SOURCE = "proposed as future work by Zhang et al. 2026"


@register("first")
@dataclass(frozen=True)
class FirstSelector(Selector):
    """The first slices of each volume (biased on purpose)."""

    uses: ClassVar[frozenset[str]] = frozenset({"weights"})
    source: ClassVar[str] = _SOURCE

    def _choose(
        self,
        pool: Pool,
        budget: int,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> np.ndarray:
        return _smallest(pool, pool.index_in_volume, budget)


@register("middle")
@dataclass(frozen=True)
class MiddleSelector(Selector):
    """The slices around the middle of each volume (biased on purpose)."""

    uses: ClassVar[frozenset[str]] = frozenset({"weights"})
    source: ClassVar[str] = _SOURCE

    def _choose(
        self,
        pool: Pool,
        budget: int,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> np.ndarray:
        length = np.repeat(pool.num_slices, pool.num_slices)
        # twice the distance from the middle, a whole number
        return _smallest(pool, np.abs(2 * pool.index_in_volume - (length - 1)), budget)


@register("single_object")
@dataclass(frozen=True)
class SingleObjectSelector(Selector):
    """Slices through one random object of each volume (biased on purpose, simulation only).

    An object is a connected component of one class. If it crosses more slices than are asked for,
    they are taken at fixed intervals through it; if fewer, the nearest slices around it are added.
    Volumes without an object get slices at fixed intervals.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"objects", "weights"})
    scopes: ClassVar[tuple[str, ...]] = ("volume",)
    source: ClassVar[str] = _SOURCE

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        assert pool.objects is not None
        available = pool.available
        inside = available
        which = rng.random()
        if pool.objects:
            object_ = pool.objects[int(which * len(pool.objects))]
            inside = object_[~pool.chosen[object_]]
            if len(inside) < budget:
                distance = np.abs(available[:, None] - object_[None]).min(axis=1)
                nearness = (distance + 1) / pool.relative_weights[available]
                return available[np.argsort(nearness, kind="stable")[:budget]]
        # all or none of these have foreground
        middles = (2 * np.arange(budget, dtype=np.int64) + 1) * len(inside) // (2 * budget)
        return inside[middles]


def _smallest(pool: Pool, rank: np.ndarray, budget: int) -> np.ndarray:
    """Available positions of lowest rank by weight; of equal ones that of the first volume."""
    available = pool.available
    weighted = (rank + 1)[available] / pool.relative_weights[available]
    return available[np.argsort(weighted, kind="stable")[:budget]]
