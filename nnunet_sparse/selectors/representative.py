"""Unsupervised active learning: representative annotation."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.cover import best_similarity, greedy_cover, unit_rows
from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register
from nnunet_sparse.selectors.selector import Selector

# the distances of all pairs of more slices would take gigabytes
_MAX_CLUSTERED = 5000


@register("ual")
@dataclass(frozen=True)
class RepresentativeSelector(Selector):
    """Unsupervised active learning: slices that represent the others in image features.

    Representative annotation (Zheng et al. 2019, AAAI): agglomerative clusters; in each, greedily,
    candidates until they cover it; from all candidates, greedily, those that represent all slices
    best (see :mod:`nnunet_sparse.selectors.cover`). The publication leaves open: the linkage
    (Ward's, on vectors of length 1), and what the parameters say. Deviations: similarity is that of
    features standardised over all training slices, as ``nnsparse_make_dataset`` gives them; where
    the candidates are fewer than the budget, the rest is chosen from all slices; slices that are
    annotated already count as chosen; of more than 5000 slices 5000 are clustered, evenly spaced,
    and the others join the cluster with the nearest mean.

    Attributes
    ----------
    clusters
        Number of clusters (of slices, if there are fewer).
    coverage
        Mean similarity to its candidates at which a cluster is covered, in (0, 1].
    candidates
        ``cluster``: a cluster's candidates are slices of it; ``all``: of any cluster.
    universe
        ``all``: the final slices represent all slices; ``candidates``: only the candidates.
    """

    clusters: int = 3
    coverage: float = 0.9
    candidates: str = "cluster"
    universe: str = "all"

    uses: ClassVar[frozenset[str]] = frozenset({"features"})
    source: ClassVar[str] = "Zheng et al. 2019"

    def __post_init__(self) -> None:
        if isinstance(self.clusters, bool) or not isinstance(self.clusters, int):
            raise ValueError(f"clusters must be a whole number, got {self.clusters!r}")
        if self.clusters < 1:
            raise ValueError(f"clusters must be at least 1, got {self.clusters}")
        if not 0 < self.coverage <= 1:
            raise ValueError(f"coverage must lie in (0, 1], got {self.coverage}")
        for name, choices in (("candidates", ("cluster", "all")), ("universe", _UNIVERSES)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be {' or '.join(choices)}, got {getattr(self, name)!r}"
                )

    def _choose(
        self,
        pool: Pool,
        budget: int,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> np.ndarray:
        assert pool.features is not None
        unit = unit_rows(pool.features)
        everything, given = np.arange(pool.size), np.flatnonzero(pool.chosen)
        found = [
            self._candidates(unit, members, pool) for members in _clusters(unit, self.clusters)
        ]
        candidates = np.unique(np.concatenate(found))
        universe = everything if self.universe == "all" else np.union1d(candidates, given)
        best = best_similarity(unit, given, universe)
        count = min(budget, len(candidates))
        picks = greedy_cover(unit, candidates, universe, count, best=best)
        if len(picks) < budget:
            rest = np.setdiff1d(pool.available, picks)
            best = best_similarity(unit, np.union1d(given, picks).astype(np.int64), everything)
            picks += greedy_cover(unit, rest, everything, budget - len(picks), best=best)
        return np.array(picks)

    def _candidates(self, unit: np.ndarray, members: np.ndarray, pool: Pool) -> np.ndarray:
        """Available slices that, with those that are annotated, cover a cluster."""
        own = self.candidates == "cluster"
        choice = members[~pool.chosen[members]] if own else pool.available
        given = members[pool.chosen[members]] if own else np.flatnonzero(pool.chosen)
        best = best_similarity(unit, given, members)
        picks = greedy_cover(unit, choice, members, len(choice), best=best, coverage=self.coverage)
        return np.array(picks, dtype=np.int64)


_UNIVERSES = ("all", "candidates")


def _clusters(unit: np.ndarray, count: int) -> list[np.ndarray]:
    """Positions of each cluster's members, ascending."""
    from sklearn.cluster import AgglomerativeClustering

    if min(count, len(unit)) < 2:
        return [np.arange(len(unit))]
    some = unit
    if len(unit) > _MAX_CLUSTERED:
        some = unit[np.arange(_MAX_CLUSTERED) * len(unit) // _MAX_CLUSTERED]
    labels = AgglomerativeClustering(min(count, len(some))).fit_predict(some)
    if len(some) < len(unit):
        means = np.stack([some[labels == label].mean(axis=0) for label in np.unique(labels)])
        # |unit - mean|^2 without what all clusters share
        labels = np.argmin((means**2).sum(axis=1) - 2 * unit @ means.T, axis=1)
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
