"""How many slices, and how many volumes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_sparse.system.errors import SparseError

AMOUNT = ("rho", "slices_per_volume", "budget")
"""Factors that say how much is annotated; a variant has one of them."""


@dataclass(frozen=True)
class Budget:
    """What may be annotated in each volume, or in all; exactly one of the three is given.

    Attributes
    ----------
    rho
        Density: share of the slices of each volume, in (0, 1].
    per_volume
        Number of slices of each volume; volumes with fewer are annotated in full.
    total
        Number of slices in all.
    """

    rho: float | None = None
    per_volume: int | None = None
    total: int | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.rho, self.per_volume, self.total) if value is not None]
        if len(given) != 1:
            raise SparseError(
                "say how much is annotated with one of rho, slices_per_volume and budget, "
                f"got {len(given)} of them"
            )
        if self.rho is not None:
            check_share("rho", self.rho)
        for name, number in (("slices_per_volume", self.per_volume), ("budget", self.total)):
            if number is not None and number < 1:
                raise SparseError(f"{name} must be at least 1, got {number}")

    @property
    def kind(self) -> str:
        """Which of the three is given, by the name of the factor."""
        if self.rho is not None:
            return "rho"
        return "budget" if self.per_volume is None else "slices_per_volume"

    @property
    def number(self) -> float:
        """The one that is given."""
        return next(v for v in (self.rho, self.per_volume, self.total) if v is not None)

    def __lt__(self, other: "Budget") -> bool:
        """Order of amounts: densities, numbers of each volume, numbers in all."""
        one, two = ((AMOUNT.index(budget.kind), budget.number) for budget in (self, other))
        return one < two

    @property
    def text(self) -> str:
        """As people read it: ``0.2``, ``3 each`` or ``120 in all``."""
        if self.rho is not None:
            return f"{self.rho:g}"
        return f"{self.total} in all" if self.per_volume is None else f"{self.per_volume} each"

    @property
    def name(self) -> str:
        """Part of a data set's name: ``rho0.200``, ``k3`` or ``n120``."""
        if self.rho is not None:
            return f"rho{share_name(self.rho)}"
        return f"n{self.total}" if self.per_volume is None else f"k{self.per_volume}"

    def of_volumes(self, num_slices: Mapping[str, int]) -> dict[str, int]:
        """Number of slices of each volume, where all are to have the same share or number.

        Parameters
        ----------
        num_slices
            Length of the slice axis of each volume, by case ID. If a total does not divide evenly,
            the first volumes get one slice more.

        Returns
        -------
        dict of str to int
            0 is possible for a total smaller than the number of volumes.

        Raises
        ------
        SparseError
            If the total exceeds the number of slices.
        """
        if self.rho is not None:
            return {c: num_annotated_slices(self.rho, n) for c, n in num_slices.items()}
        if self.per_volume is not None:
            return {c: min(self.per_volume, n) for c, n in num_slices.items()}
        assert self.total is not None
        if self.total > (available := sum(num_slices.values())):
            raise SparseError(
                f"budget is {self.total} slices, the {len(num_slices)} volumes that may be "
                f"annotated have {available}"
            )
        shares = _evenly(self.total, list(num_slices.values()))
        return dict(zip(num_slices, shares, strict=True))


def check_share(name: str, value: float) -> None:
    """Refuse a share outside (0, 1]; NaN too."""
    if not 0 < value <= 1:
        hint = {
            "rho": "0.2 annotates every fifth slice",
            "s": "0.5 annotates half of the volumes",
        }[name]
        raise SparseError(f"{name} must lie in (0, 1], got {value:g} ({hint})")


def share_name(value: float) -> str:
    """Three decimals, more where they would hide a difference."""
    text = f"{value:.3f}"
    return text if float(text) == value else repr(value)


def num_annotated_slices(rho: float, num_slices: int) -> int:
    """Annotated slices of a volume: ``max(1, floor(rho * num_slices + 0.5))``."""
    return max(1, math.floor(rho * num_slices + 0.5))


def num_annotated_volumes(s: float, num_train: int) -> int:
    """Volumes that carry annotation: ``max(1, floor(s * num_train + 0.5))``."""
    return max(1, math.floor(s * num_train + 0.5))


def _evenly(total: int, capacities: Sequence[int]) -> list[int]:
    """Parts of a total that are as equal as the capacities allow; the first ones are larger."""
    parts = [0] * len(capacities)
    while total:
        open_parts = [i for i, capacity in enumerate(capacities) if parts[i] < capacity]
        each, rest = divmod(total, len(open_parts))
        for rank, i in enumerate(open_parts):
            added = min(each + (rank < rest), capacities[i] - parts[i])
            parts[i] += added
            total -= added
    return parts
