"""A budget of slices, spent on a whole number of volumes.

A *budget* is a number of annotated slices. It is *spent* on some volumes, at the density that
annotates as many slices of them as the budget allows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.report.grid.score_surface import Annotation
from nnunet_sparse.selection.budget import Budget, num_annotated_volumes
from nnunet_sparse.selection.choose_slices import choose_volumes


@dataclass(frozen=True)
class Spending:
    """Annotated volumes and slices.

    Attributes
    ----------
    rho, s
        Density and volume fraction with which ``nnsparse_make_dataset`` annotates as many, in as
        few digits as it takes.
    num_volumes
        Annotated volumes.
    num_slices
        Annotated slices of all of them.
    """

    rho: float
    s: float
    num_volumes: int
    num_slices: int


class Volumes:
    """Training volumes of a base, in the order in which they are annotated.

    Parameters
    ----------
    num_slices
        Length of the slice axis of each training volume, by case ID.
    seed
        Of the choice of volumes, as in ``nnsparse_make_dataset``.
    """

    def __init__(self, num_slices: Mapping[str, int], seed: int = 0) -> None:
        order = choose_volumes(list(num_slices), 1.0, seed)
        self.num_slices = {case: num_slices[case] for case in order}
        self.seed = seed

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.num_slices)

    def costs(self, rho: float) -> np.ndarray:
        """Annotated slices of the first volume, of the first two, and so on, at a density."""
        return np.cumsum(list(Budget(rho=rho).of_volumes(self.num_slices).values()))

    def actual(self, rho: float, s: float, selector: str) -> Annotation:
        """Share of slices and of volumes that are annotated, as both are whole numbers."""
        number = num_annotated_volumes(s, self.number)
        available = sum(list(self.num_slices.values())[:number])
        return Annotation(self.costs(rho)[number - 1] / available, number / self.number, selector)

    def spend(
        self,
        budget: int,
        num_volumes: int,
        rhos: Sequence[float] = (),
        fractions: Sequence[float] = (),
    ) -> Spending:
        """Annotate some volumes as densely as a budget allows.

        Parameters
        ----------
        budget
            Number of slices, at least one for each of the volumes.
        num_volumes
            How many are annotated.
        rhos, fractions
            Densities and volume fractions that are preferred to others with the same effect.
        """
        lengths = dict(list(self.num_slices.items())[:num_volumes])
        highest = _highest_density(budget, lengths)
        counts = Budget(rho=highest).of_volumes(lengths)

        def same_slices(rho: float) -> bool:
            return 0 < rho <= 1 and Budget(rho=rho).of_volumes(lengths) == counts

        def same_volumes(s: float) -> bool:
            return 0 < s <= 1 and num_annotated_volumes(s, self.number) == num_volumes

        num_slices = sum(counts.values())
        lowest = max((k - 0.5) / lengths[case] if k > 1 else 0 for case, k in counts.items())
        likely = (*rhos, num_slices / sum(lengths.values()), (lowest + highest) / 2)
        rho = next(filter(same_slices, likely))
        s = next(filter(same_volumes, (*fractions, num_volumes / self.number)))
        return Spending(
            _shortened(rho, same_slices), _shortened(s, same_volumes), num_volumes, num_slices
        )


def _highest_density(budget: int, lengths: Mapping[str, int]) -> float:
    """Highest density at which volumes cost no more than a budget, up to rounding."""
    low, high = 0.0, 1.0
    if sum(lengths.values()) <= budget:
        return high
    for _ in range(50):
        middle = (low + high) / 2
        if sum(Budget(rho=middle).of_volumes(lengths).values()) <= budget:
            low = middle
        else:
            high = middle
    return low


def _shortened(value: float, is_equal: Callable[[float], bool]) -> float:
    """Round to three decimals, or as few more as make no difference."""
    return next((x for n in range(3, 18) if is_equal(x := round(value, n))), value)
