"""The factors that make one sparse data set differ from another of the same base."""

import math
from dataclasses import dataclass

from nnunet_sparse.budget import check_share
from nnunet_sparse.errors import SparseError
from nnunet_sparse.selectors import get_selector


@dataclass(frozen=True)
class Variant:
    """One cell of the grid: everything its data set depends on besides the base.

    Attributes
    ----------
    rho
        Density: share of a volume's slices that are annotated, in (0, 1].
    s
        Volume fraction: share of the training volumes that carry annotation, in (0, 1].
    selector
        Name of the selector.
    positive_weight
        How much likelier a slice with foreground is drawn than one without (1: equally).
    axis
        Slice axis of the array, or None for the automatic one.
    seed
        Seed of the order of the volumes and of the selector.
    """

    rho: float
    s: float
    selector: str
    positive_weight: float = 1.0
    axis: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        get_selector(self.selector)
        check_share("rho", self.rho)
        check_share("s", self.s)
        if not (self.positive_weight > 0 and math.isfinite(self.positive_weight)):
            raise SparseError(
                f"positive_weight must be a number above 0, got {self.positive_weight:g} "
                "(3 draws slices with foreground three times as likely)"
            )

    def dataset_suffix(self, base_suffix: str) -> str:
        """Name of the data set without ``DatasetXXX_``.

        Factors other than density, volume fraction, selector and seed appear only where they
        differ from the default.
        """
        parts = [base_suffix, f"rho{_number(self.rho)}", f"s{_number(self.s)}", self.selector]
        if self.positive_weight != 1:
            parts.append(f"pw{self.positive_weight:g}")
        if self.axis is not None:
            parts.append(f"axis{self.axis}")
        return "_".join([*parts, f"seed{self.seed}"])


def _number(value: float) -> str:
    """Three decimals, more where they would hide a difference."""
    text = f"{value:.3f}"
    return text if float(text) == value else repr(value)
