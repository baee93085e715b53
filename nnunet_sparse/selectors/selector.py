"""What a selector is: a frozen dataclass whose fields are its parameters."""

import inspect
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.weights import strata
from nnunet_sparse.system.errors import SparseError

SCOPES = ("volume", "dataset")
INPUTS = frozenset({"weights", "features", "classes", "objects", "network"})
"""Fields of a pool that a selector may look at."""

_OF_LABELS = frozenset({"classes", "objects"})


@dataclass(frozen=True)
class Selector(ABC):
    """Strategy that chooses which slices are annotated.

    A subclass implements ``_choose``, names what it looks at in ``uses`` and its publication in
    ``source``. The first line of its docstring is shown by ``--list_selectors``.
    """

    name: ClassVar[str]
    """Name in commands, data set names and files; set where it is registered."""

    uses: ClassVar[frozenset[str]] = frozenset()
    """Fields of the pool that it looks at, besides the number of slices.

    One that does not look at weights gets the slices of each weight as a pool of their own.
    """

    scopes: ClassVar[tuple[str, ...]] = SCOPES
    """Whether it chooses within each volume (``volume``) and from all at once (``dataset``)."""

    source: ClassVar[str] = ""
    """Where it was published."""

    least_networks: ClassVar[int] = 1
    """Least size of the ensemble, of selectors that ask a trained network."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Its parameters, by name."""
        return asdict(self)

    def select(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Choose slices that are not annotated yet.

        Parameters
        ----------
        pool
            The slices. What the selector uses must be there (weights need not).
        budget
            Number of slices to choose, from 1 to the number of slices that are not annotated.
        rng
            Source of randomness; the only one used.

        Returns
        -------
        np.ndarray, shape (budget,), int64
            Positions in the pool, ascending, without repetition.

        Raises
        ------
        ValueError
            If the budget is out of range, something that the selector uses is missing or has
            another length than the pool, or features or what a network says are not finite.
        SparseError
            If the selector itself fails, or chooses something else than it was asked for, or the
            ensemble has too few networks.
        """
        if not 1 <= budget <= len(pool.available):
            raise ValueError(f"budget must lie in 1..{len(pool.available)}, got {budget}")
        for needed in sorted(self.uses - {"weights"}):
            if getattr(pool, needed) is None:
                raise ValueError(f"selector {self.name!r} needs {needed}")
        for given in ("weights", "features", "classes"):
            values = getattr(pool, given)
            if values is not None and len(values) != pool.size:
                raise ValueError(f"{len(values)} {given} for {pool.size} slices")
        used = pool.features if "features" in self.uses else None
        if used is not None and not np.isfinite(used).all():
            raise ValueError("features must be finite numbers")
        if "network" in self.uses and pool.network is not None:
            pool.network.check(pool.size)
            self.check_networks(pool.network.num_networks)
        try:
            found = self._choose_by_weight(pool, budget, rng)
            chosen = np.sort(np.asarray(found, dtype=np.int64).ravel())
        except SparseError:
            raise
        except Exception as error:  # of other packages' code, which may raise anything
            reason = f"{type(error).__name__}: {error}"
            raise SparseError(f"selector {self.name!r} failed: {reason}") from error
        for wrong, what in (
            (len(chosen) != budget, f"{len(chosen)} slices instead of {budget}"),
            ((np.diff(chosen) < 1).any(), "a slice twice"),
            (not np.isin(chosen, pool.available).all(), "slices that are not available"),
        ):
            if wrong:
                raise SparseError(f"selector {self.name!r} is faulty: it chose {what}")
        return chosen

    def _choose_by_weight(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Choose from each stratum of equal weight, unless the selector looks at weights itself."""
        if pool.weights is None or "weights" in self.uses:
            return self._choose(pool, budget, rng)
        available, weights = pool.available, pool.relative_weights
        if len(np.unique(weights[available])) == 1:
            return self._choose(replace(pool, weights=None), budget, rng)
        found = []
        for group, count in strata(weights[available], budget, rng.random()):
            # with those of its weight that are annotated
            weight = weights[available[group[0]]]
            positions = np.flatnonzero(weights == weight)
            some = np.asarray(self._choose(pool.part(positions), count, rng), dtype=np.int64)
            found.append(positions[some.ravel()])
        return np.concatenate(found)

    @abstractmethod
    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Choose ``budget`` different available positions, in any order."""

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring, without its full stop."""
        return (inspect.getdoc(cls) or "").partition("\n")[0].rstrip(".")

    @classmethod
    def asks_network(cls) -> bool:
        """Whether it asks a network that was trained on what is annotated already."""
        return "network" in cls.uses

    @classmethod
    def check_networks(cls, number: int) -> None:
        """Refuse an ensemble that is too small.

        Raises
        ------
        SparseError
            With the number of networks that are needed.
        """
        if number < cls.least_networks:
            raise SparseError(
                f"selector {cls.name} compares the networks of an ensemble, of which there are "
                f"{number}: train and name {cls.least_networks} folds at least (-f 0 1), or choose "
                "another selector"
            )

    @classmethod
    def looks_at_labels(cls) -> bool:
        """Whether it needs dense labels, and so serves in simulations only."""
        return bool(cls.uses & _OF_LABELS)
