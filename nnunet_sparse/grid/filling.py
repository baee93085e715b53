"""Cells whose labels are interpolated: the part ``interpolation`` of the experiment file."""

from dataclasses import dataclass, field
from typing import Any

from nnunet_sparse.grid import file_rules as rules
from nnunet_sparse.grid.configuration import CONFIGURATIONS
from nnunet_sparse.grid.yaml_lines import converted
from nnunet_sparse.interpolation.interpolator_presets import (
    DEFAULT_INTERPOLATOR_PRESET,
    INTERPOLATOR_PRESETS,
)
from nnunet_sparse.interpolation.methods import (
    DEFAULT_METHOD,
    interpolation_method,
    method_names,
    methods_with_model,
    methods_with_network,
    methods_with_presets,
)
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.selectors import first_selector_names, refuse_without_network, selector_names
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import choice, setting, share, switch


@dataclass(frozen=True)
class Filling:
    """Cells whose labels are interpolated, beside the same ones without.

    Attributes
    ----------
    methods
        Ways of interpolation.
    rho, slices_per_volume, budget, s, selectors
        Cells that are interpolated; where empty, those of the whole grid (``s``: 1).
    one_way, verify, min_confidence
        As in ``nnsparse_interpolate``.
    teacher
        Configuration by which the networks are trained whose predictions ``network`` takes; by
        default the one that learns from them.
    preset, changes
        The network of ``correspondence``, and values that are replaced in the preset of any
        network, that of ``published`` too.
    """

    methods: tuple[str, ...] = converted((DEFAULT_METHOD,), **rules.some(method_names()))
    rho: tuple[float, ...] = converted((), rules.shares("densities", empty=True), rules.fractions)
    slices_per_volume: tuple[int, ...] = converted((), rules.SLICES, rules.listed)
    budget: tuple[int, ...] = converted((), rules.SLICES, rules.listed)
    s: tuple[float, ...] = converted((1.0,), rules.FRACTIONS, rules.fractions)
    selectors: tuple[str, ...] = converted(
        (), **rules.some(first_selector_names(), empty=True, known=selector_names())
    )
    one_way: bool = setting(False, switch())
    verify: bool = setting(False, switch())
    min_confidence: float = setting(0.0, share())
    teacher: str = setting("", choice(*CONFIGURATIONS))
    preset: str = setting(DEFAULT_INTERPOLATOR_PRESET, choice(*INTERPOLATOR_PRESETS))
    changes: dict[str, Any] = field(default_factory=dict, metadata=rules.CHANGES)

    def __post_init__(self) -> None:
        for selector in self.selectors:
            refuse_without_network(selector)
        methods = [interpolation_method(name) for name in self.methods]
        if self.changes and not any(method.uses_network for method in methods):
            raise SparseError(f"preset and changes work with {methods_with_network()}")
        if self.teacher and not any(method.uses_model for method in methods):
            raise SparseError(f"teacher works with {methods_with_model()}")
        own = self.preset != DEFAULT_INTERPOLATOR_PRESET
        if own and not any(method.takes_preset() for method in methods):
            raise SparseError(f"preset works with {methods_with_presets()}")
        _ = self.interpolations

    @property
    def interpolations(self) -> tuple[Interpolation, ...]:
        """The ways, each with its options."""
        return tuple(
            Interpolation(
                method,
                self.one_way,
                self.verify,
                float(self.min_confidence),
                self.preset if interpolation_method(method).takes_preset() else "",
                changes=tuple(self.changes.items()),
            )
            for method in self.methods
        )
