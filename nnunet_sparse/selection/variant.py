"""The factors that make one sparse data set differ from another of the same base."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.selection.budget import AMOUNT, Budget, check_share, share_name
from nnunet_sparse.selection.round_path import RoundPath, asked_of_round, extended_suffix
from nnunet_sparse.selectors import Selector, get_selector
from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    from nnunet_sparse.features.mae_request import MaeRequest

# factors of the first version of selection.json, which are always written
_ALWAYS = ("rho", "s", "selector", "positive_weight", "axis", "seed")
# factors of the first tables of results
_ALWAYS_IN_TABLES = frozenset(
    {"rho", "s", "selector", "scope", "positive_weight", "interpolation", "seed"}
)
WAY_OF_CHOOSING = ("selector", "parameters", "mae", "mae_seed")
"""Factors that say by what slices are chosen."""

FACTORS = (
    *AMOUNT,
    "s",
    *WAY_OF_CHOOSING,
    *("scope", "min_per_volume", "positive_weight", "axis", "rounds", "interpolation", "seed"),
)
"""All factors, in the order in which names and tables have them."""

Value = float | str | None
"""A factor as tables have it; None and empty text where it does not apply."""


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
        How much more a slice with foreground counts than one without when slices are chosen (1:
        equally), see :mod:`nnunet_sparse.selectors.weights`. Which slices have foreground is read
        from the dense labels of the base: for simulations.
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
        How the slices that are not annotated have been filled; None if they carry the ignore label.
    rounds
        How it came to its slices, if they were not chosen at once; ``rho`` is the share of all
        rounds together, and the selector that of the later ones.
    """

    rho: float | None = None
    s: float = 1.0
    selector: str = "fixed"
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
    interpolation: Interpolation | None = None
    rounds: "RoundPath[Variant] | None" = None

    def __post_init__(self) -> None:
        self.mae_request()  # which refuses an unknown preset
        chooser = self.make_selector()
        defaults = get_selector(self.selector).parameters
        given = chooser.parameters
        # what is asked for as it is anyway names no other data set
        changed = {key: given[key] for key in sorted(given) if given[key] != defaults[key]}
        object.__setattr__(self, "parameters", changed)
        if "features" not in chooser.uses:
            object.__setattr__(self, "mae", DEFAULT_MAE_PRESET)
            object.__setattr__(self, "mae_seed", 0)
        _ = self.amount
        check_share("s", self.s)
        if not (self.positive_weight > 0 and math.isfinite(self.positive_weight)):
            raise SparseError(
                f"positive_weight must be a number above 0, got {self.positive_weight:g} "
                "(with 3 slices with foreground count three times)"
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
    def amount(self) -> Budget:
        """How many slices are annotated."""
        return Budget(self.rho, self.slices_per_volume, self.budget)

    def make_selector(self) -> Selector:
        """Selector with its parameters."""
        return get_selector(self.selector, self.parameters)

    def mae_request(self, device: str | None = None) -> "MaeRequest":
        """Masked autoencoder whose features the selector uses, if it uses any."""
        from nnunet_sparse.features.mae_request import MaeRequest

        return MaeRequest(self.mae, self.mae_seed, device)

    @property
    def uses_features(self) -> bool:
        """Whether the selector looks at features of a masked autoencoder."""
        return "features" in self.make_selector().uses

    @property
    def mae_names(self) -> list[str]:
        """Parts of names for the masked autoencoder; what is not the default appears."""
        preset = [self.mae] if self.mae != DEFAULT_MAE_PRESET else []
        return [*preset, *([f"mae{self.mae_seed}"] if self.mae_seed else [])]

    def __hash__(self) -> int:
        return hash(self.same_but())

    def same_but(self, *left_out: str) -> tuple[object, ...]:
        """Values of all factors but some: equal for variants that differ in these alone."""
        values = {**vars(self), "parameters": tuple(sorted(self.parameters.items()))}
        if self.rounds is not None:
            values["rounds"] = self.rounds.same_but(*left_out)
        return tuple(value for name, value in values.items() if name not in left_out)

    def to_json(self) -> dict[str, Any]:
        """Factors, those that were added later only where they differ from their default."""
        parts = {"interpolation": self.interpolation, "rounds": self.rounds}
        values = asdict(self) | {
            name: None if part is None else part.to_json() for name, part in parts.items()
        }
        return {
            name: value
            for name, value in values.items()
            if name in _ALWAYS or self._is_changed(name)
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Variant":
        """Inverse of :meth:`to_json`."""
        filled, path = content.get("interpolation"), content.get("rounds")
        parts = {
            "interpolation": Interpolation(**filled) if filled else None,
            "rounds": RoundPath(**path | {"first": cls.from_json(path["first"])}) if path else None,
        }
        return cls(**{**content, **parts})

    def _is_changed(self, name: str) -> bool:
        default = {item.name: item.default for item in fields(self)} | {"parameters": {}}
        return bool(getattr(self, name) != default[name])

    def value(self, factor: str) -> Value:
        """A factor as tables have it."""
        if factor == "parameters":
            return " ".join(f"{key}={_value(value)}" for key, value in self.parameters.items())
        if factor == "interpolation":
            return "" if self.interpolation is None else self.interpolation.title
        if factor == "rounds":
            return "" if self.rounds is None else self.rounds.text
        if factor in ("mae", "mae_seed") and not self.uses_features:
            return None
        value: Value = getattr(self, factor)
        return value

    def text(self, factor: str) -> str:
        """The same as people read it."""
        value = self.value(factor)
        if factor in ("rho", "s") and isinstance(value, float | int):
            return share_name(value)
        if isinstance(value, float):
            return f"{value:g}"
        return "" if value is None else str(value)

    @property
    def addition(self) -> "Variant":
        """What the last of its rounds added."""
        assert self.rounds is not None
        return replace(self, rho=self.rounds.add, rounds=None)

    @property
    def before(self) -> "Variant":
        """The same one round earlier."""
        assert self.rounds is not None
        number = self.rounds.number - 1
        if number == 1:
            return self.rounds.first
        return replace(
            self, rho=self.rounds.density(number), rounds=replace(self.rounds, number=number)
        )

    @property
    def way_of_choosing(self) -> str:
        """The selector, its parameters and network where they are not the default."""
        parameters = [text] if (text := self.text("parameters")) else []
        return " ".join([self.selector, *parameters, *self.mae_names])

    @property
    def description(self) -> str:
        """What it is besides amount and share of volumes; what is not the default appears."""
        parts = [self.selector]
        if self.interpolation is not None:
            parts.insert(0, f"{self.text('interpolation')} from")
        others = FACTORS[FACTORS.index("selector") + 1 :]
        for name in (name for name in others if name != "interpolation" and self._is_changed(name)):
            own = name == "parameters"
            parts.append(self.text(name) if own else f"{factor_title(name)} {self.text(name)}")
        return " ".join(parts)

    def dataset_suffix(self, base_suffix: str) -> str:
        """Name of the data set without ``DatasetXXX_``.

        Factors other than number of slices, volume fraction, selector and seed appear only where
        they differ from the default. Of one that was annotated in rounds it is that of its first
        choice, and a hash of what was asked for later.
        """
        if self.rounds is not None:
            first = self.rounds.first.dataset_suffix(base_suffix)
            asked = asked_of_round(self.addition, self.rounds.teacher or None)
            every = [asked] * (self.rounds.number - 1)
            return extended_suffix(first, every, self.addition, self.rounds.teacher)
        parts = [base_suffix, self.amount.name, f"s{share_name(self.s)}", self.selector]
        parts += [f"{name}{_value(value)}" for name, value in self.parameters.items()]
        parts += self.mae_names
        if self.scope != "volume":
            parts.append(self.scope)
        if self.min_per_volume:
            parts.append(f"min{self.min_per_volume}")
        if self.positive_weight != 1:
            parts.append(f"pw{self.positive_weight:g}")
        if self.axis is not None:
            parts.append(f"axis{self.axis}")
        if self.interpolation is not None:
            parts.append(self.interpolation.name)
        return "_".join([*parts, f"seed{self.seed}"])


def factor_title(factor: str) -> str:
    """Name of a factor for people."""
    return "weight" if factor == "positive_weight" else factor.replace("_", " ")


def table_factors(variants: Iterable[Variant]) -> tuple[str, ...]:
    """Factors that a table of variants has as columns: the first ones, and what differs in any.

    A factor that none of them changes is no column, so that tables stay what they were before it
    was added.
    """
    every = list(variants)
    return tuple(
        name
        for name in FACTORS
        if name in _ALWAYS_IN_TABLES or any(variant._is_changed(name) for variant in every)
    )


def _value(value: float | str) -> str:
    """As short as tells it from any other value."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)
