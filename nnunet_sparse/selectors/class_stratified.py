"""Class-stratified selection by power noise and predictive entropy."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.selectors.network_selector import (
    NetworkSelector,
    Picks,
    check_beta,
    noisy_ranks,
    ranks,
    seen_by,
)
from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.registry import register


@register("clasp_pe")
@dataclass(frozen=True)
class ClassStratifiedSelector(NetworkSelector):
    """Slices drawn by predictive entropy, two thirds of them for each predicted class in turn.

    ClaSP PE (class-stratified power noise, predictive entropy), the query method of nnActive's
    second paper (TMLR 01/2026). A share of the slices is divided among the labels but background:
    they take turns, in random order, and each draws a slice on which it is predicted, by what it
    adds to the entropy. The rest is drawn by the entropy itself. Both are drawn with power noise
    (Kirsch et al. 2023), whose beta grows exponentially over the rounds: much noise while the
    network is young, little at last. The turn of a label that is predicted on no slice that is left
    goes to a random slice. Deviations: slices in place of patches; how their voxels are pooled, and
    the distance that they keep, are parameters; with scope ``volume`` labels take turns within each
    volume.

    Attributes
    ----------
    share
        Share of the slices that are drawn for a class.
    first_beta, last_beta
        Beta in the first round in which slices are added, and from the last one on.
    rounds
        Number of rounds in which slices are added.
    """

    share: float = 0.66
    first_beta: float = 1.0
    last_beta: float = 100.0
    rounds: int = 4

    source: ClassVar[str] = "nnActive's second paper, TMLR 01/2026"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must lie in [0, 1], got {self.share}")
        check_beta("first_beta", self.first_beta)
        check_beta("last_beta", self.last_beta)
        if isinstance(self.rounds, bool) or not isinstance(self.rounds, int) or self.rounds < 1:
            raise ValueError(f"rounds must be a whole number from 1 on, got {self.rounds!r}")

    def beta(self, round_number: int) -> float:
        """Beta of the round that adds slices for the n-th time, counted from 1."""
        if self.rounds == 1:
            return self.first_beta
        progress = min(max(round_number - 1, 0) / (self.rounds - 1), 1.0)
        return float(self.first_beta * (self.last_beta / self.first_beta) ** progress)

    def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        seen = seen_by(pool)
        beta = self.beta(seen.round_number)
        classes = seen.predicted.shape[1] - 1
        noise = rng.random((classes + 2, 2, pool.size))
        at_random = ranks(noise[0, 0], noise[0, 1])
        of_all = noisy_ranks(seen.entropy, beta, noise[1])
        of_class = [
            noisy_ranks(seen.class_entropy[:, label], beta, noise[1 + label])
            for label in range(1, classes + 1)
        ]
        turns = np.argsort(rng.random(classes), kind="stable")
        picks = Picks(pool, self.min_gap)
        for turn in range(int(self.share * budget + 0.5) if classes else 0):
            label = int(turns[turn % classes])
            shown = seen.predicted[:, label + 1] > 0
            if picks.is_left(shown):
                picks.add_best(of_class[label], shown)
            else:
                picks.add_best(at_random)
        while len(picks.positions) < budget:
            picks.add_best(of_all)
        return np.array(picks.positions)
