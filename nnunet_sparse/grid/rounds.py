"""Cells that are annotated in rounds: the part ``rounds`` of the experiment file."""

from dataclasses import dataclass

from nnunet_sparse.grid import file_rules as rules
from nnunet_sparse.grid.yaml_lines import converted
from nnunet_sparse.selectors import refuse_without_network, selector_names
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import choice, setting, whole

_MAX_ROUNDS = 100
# what rounding adds to a sum of densities
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Rounds:
    """Cells that are annotated in rounds, and trained from scratch after each.

    Attributes
    ----------
    start
        Density of the first round.
    add
        Share of the slices that each later round adds.
    count
        Number of rounds, the first one included.
    selectors
        How slices of the later rounds are chosen.
    first
        How those of the first round are, which all selectors have in common.
    s
        Volume fractions.
    """

    start: float = converted(0.05, rules.DENSITY, rules.fraction)
    add: float = converted(0.05, rules.DENSITY, rules.fraction)
    count: int = setting(4, whole(1, _MAX_ROUNDS))
    selectors: tuple[str, ...] = converted(
        ("random", "stratified", "foreground_random", "entropy", "clasp_pe"),
        **rules.some(selector_names()),
    )
    first: str = setting("stratified", choice(*selector_names()))
    s: tuple[float, ...] = converted((1.0,), rules.FRACTIONS, rules.fractions)

    def __post_init__(self) -> None:
        refuse_without_network(self.first)
        last = self.start + self.add * (self.count - 1)
        if last > 1 + _TOLERANCE:
            raise SparseError(
                f"rounds: after {self.count} rounds a density of {last:g} would be annotated "
                f"(start {self.start:g} and {self.count - 1} times add {self.add:g}), it is at "
                "most 1"
            )
