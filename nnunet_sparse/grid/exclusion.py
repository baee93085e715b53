"""Cells that are no part of an experiment: an item of ``exclude`` in its file."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from nnunet_sparse.grid import file_rules as rules
from nnunet_sparse.grid.cell_kinds import INTERPOLATED, SPARSE
from nnunet_sparse.grid.configuration import CONFIGURATIONS, Configuration
from nnunet_sparse.grid.yaml_lines import converted, line_number
from nnunet_sparse.interpolation.methods import method_names
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import first_selector_names
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import choice, setting

KINDS = (SPARSE, INTERPOLATED)
"""Cells that can be excluded; dense annotation is asked for, or not, by ``dense``."""


@dataclass(frozen=True)
class Exclusion:
    """Cells that are not part of the experiment; those that have everything that is named.

    Attributes
    ----------
    configuration, trainer
        How they are trained; by default in every way.
    kind
        ``sparse`` or ``interpolated``; by default both.
    rho, slices_per_volume, budget, s, selectors, methods
        Their factors, each by default any. Only interpolated cells have one of the ``methods``.
    line
        Where it stands in the file.
    """

    configuration: str = setting("", choice(*CONFIGURATIONS))
    trainer: str = setting("", rules.name("the name of a trainer"))
    kind: str = setting("", choice(*KINDS))
    rho: tuple[float, ...] = converted((), rules.DENSITIES, rules.fractions)
    slices_per_volume: tuple[int, ...] = converted((), rules.SLICES, rules.listed)
    budget: tuple[int, ...] = converted((), rules.SLICES, rules.listed)
    s: tuple[float, ...] = converted((), rules.FRACTIONS, rules.fractions)
    selectors: tuple[str, ...] = converted((), **rules.some(first_selector_names()))
    methods: tuple[str, ...] = converted((), **rules.some(method_names()))
    line: int = line_number()

    def __post_init__(self) -> None:
        if not any(vars(self)[name] for name in self._keys()):
            raise SparseError(f"exclude names nothing; there are {', '.join(self._keys())}")

    @property
    def text(self) -> str:
        """What it names."""
        named = {name: vars(self)[name] for name in self._keys() if vars(self)[name]}
        return ", ".join(
            f"{name} {value if isinstance(value, str) else ', '.join(map(str, value))}"
            for name, value in named.items()
        )

    def covers(self, variant: Variant, way: Configuration) -> bool:
        """Whether a variant that is trained in some way is excluded."""
        filled = variant.interpolation
        of_cell = {
            "configuration": way.configuration,
            "trainer": way.trainer,
            "kind": SPARSE if filled is None else INTERPOLATED,
            "rho": variant.rho,
            "slices_per_volume": variant.slices_per_volume,
            "budget": variant.budget,
            "s": variant.s,
            "selectors": variant.selector,
            "methods": None if filled is None else filled.method,
        }
        return all(_meets(getattr(self, name), value) for name, value in of_cell.items())

    def of_each_value(self) -> Iterator["Exclusion"]:
        """Itself, and the same with a single value of one list, for each value of each list."""
        yield self
        for name in self._keys():
            values = vars(self)[name]
            for value in values if isinstance(values, tuple) and len(values) > 1 else ():
                alone: dict[str, Any] = {name: (value,)}
                yield replace(self, **alone)

    @classmethod
    def _keys(cls) -> list[str]:
        return [item.name for item in fields(cls) if "line" not in item.metadata]


def _meets(wanted: Any, value: Any) -> bool:
    """Whether a value is the one, or one of those, that are wanted; nothing wants any."""
    return not wanted or (value in wanted if isinstance(wanted, tuple) else value == wanted)
