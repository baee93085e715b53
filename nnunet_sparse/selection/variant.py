"""The factors that make one sparse data set differ from another of the same base."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.selection.budget import Budget, check_share, share_name
from nnunet_sparse.selectors import Selector, get_selector
from nnunet_sparse.system.errors import SparseError

# factors of the first version of selection.json, which are always written
_ALWAYS = ("rho", "s", "selector", "positive_weight", "axis", "seed")


@dataclass(frozen=True)
class Variant:
    """One cell of the grid: everything its data set depends on besides the base.

    Attributes
    ----------
    rho
        Density: share of a volume's slices that are annotated, in (0, 1]; None for a budget in
        slices.
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
    scope
        ``volume``: each volume has a budget of its own; ``dataset``: all share one.
    slices_per_volume
        Number of slices of each volume, instead of ``rho``.
    budget
        Number of slices in all, instead of ``rho``.
    min_per_volume
        With scope ``dataset``: least number of slices of each volume.
    mae, mae_seed
        Preset and seed of the masked autoencoder, for selectors that use features; the default for
        others.
    parameters
        Parameters of the selector that differ from their defaults.
    interpolation
        Values of an :class:`nnunet_sparse.interpolation.request.Interpolation` by which the slices
        that are not annotated have been filled; empty if they carry the ignore label.
    """

    rho: float | None
    s: float
    selector: str
    positive_weight: float = 1.0
    axis: int | None = None
    seed: int = 0
    scope: str = "volume"
    slices_per_volume: int | None = None
    budget: int | None = None
    min_per_volume: int = 0
    mae: str = DEFAULT_MAE_PRESET
    mae_seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    interpolation: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chooser = self.make_selector()
        defaults = get_selector(self.selector).parameters
        given = chooser.parameters
        # what is asked for as it is anyway names no other data set
        changed = {key: given[key] for key in sorted(given) if given[key] != defaults[key]}
        object.__setattr__(self, "parameters", changed)
        if "features" not in chooser.uses:
            object.__setattr__(self, "mae", DEFAULT_MAE_PRESET)
            object.__setattr__(self, "mae_seed", 0)
        _ = self.slices
        check_share("s", self.s)
        if not (self.positive_weight > 0 and math.isfinite(self.positive_weight)):
            raise SparseError(
                f"positive_weight must be a number above 0, got {self.positive_weight:g} "
                "(3 draws slices with foreground three times as likely)"
            )
        if self.positive_weight != 1 and "weights" not in chooser.uses:
            raise SparseError(
                f"positive_weight works with selector random, not with {self.selector}"
            )
        if self.scope not in chooser.scopes:
            raise SparseError(
                f"selector {self.selector} has scope {' or '.join(chooser.scopes)}, "
                f"not {self.scope!r}"
            )
        if self.min_per_volume < 0:
            raise SparseError(f"min_per_volume must be at least 0, got {self.min_per_volume}")
        if self.min_per_volume and self.scope != "dataset":
            raise SparseError(
                "min_per_volume works with scope dataset; with scope volume all volumes have the "
                "same share"
            )

    @property
    def slices(self) -> Budget:
        """How many slices are annotated."""
        return Budget(self.rho, self.slices_per_volume, self.budget)

    def make_selector(self) -> Selector:
        """Selector with its parameters."""
        return get_selector(self.selector, self.parameters)

    def to_json(self) -> dict[str, Any]:
        """Factors, those that were added later only where they differ from their default."""
        defaults = {f.name: f.default for f in fields(self)} | {
            "parameters": {},
            "interpolation": {},
        }
        return {
            name: value
            for name, value in asdict(self).items()
            if name in _ALWAYS or value != defaults[name]
        }

    def dataset_suffix(self, base_suffix: str) -> str:
        """Name of the data set without ``DatasetXXX_``.

        Factors other than number of slices, volume fraction, selector and seed appear only where
        they differ from the default.
        """
        parts = [base_suffix, self.slices.name, f"s{share_name(self.s)}", self.selector]
        parts += [f"{name}{_value(value)}" for name, value in self.parameters.items()]
        if self.mae != DEFAULT_MAE_PRESET:
            parts.append(self.mae)
        if self.mae_seed:
            parts.append(f"mae{self.mae_seed}")
        if self.scope != "volume":
            parts.append(self.scope)
        if self.min_per_volume:
            parts.append(f"min{self.min_per_volume}")
        if self.positive_weight != 1:
            parts.append(f"pw{self.positive_weight:g}")
        if self.axis is not None:
            parts.append(f"axis{self.axis}")
        if self.interpolation:
            from nnunet_sparse.interpolation.request import Interpolation

            parts.append(Interpolation(**self.interpolation).name)
        return "_".join([*parts, f"seed{self.seed}"])


def _value(value: Any) -> str:
    """As short as tells it from any other value."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)
