"""How the slices between annotated ones are filled."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from nnunet_sparse.interpolation.dense_label import DenseLabel
from nnunet_sparse.interpolation.interpolator_presets import DEFAULT_INTERPOLATOR_PRESET
from nnunet_sparse.interpolation.interpolator_request import (
    InterpolatorRequest,
    PresetChanges,
    change_names,
)
from nnunet_sparse.interpolation.nearest import interpolate_nearest
from nnunet_sparse.interpolation.propagation import Warp, propagate, propagate_both_ways
from nnunet_sparse.interpolation.shape import interpolate_shape
from nnunet_sparse.interpolation.slice_stack import SliceStack
from nnunet_sparse.interpolation.verification import verified
from nnunet_sparse.system.errors import SparseError

METHODS = ("correspondence", "shape", "nearest")
NETWORK_METHOD = "correspondence"


@dataclass(frozen=True)
class Interpolation:
    """A way of interpolating labels.

    Attributes
    ----------
    method
        ``correspondence``: by the trained network; ``shape``: by signed distances; ``nearest``: by
        copying.
    one_way
        With ``correspondence``: algorithm 1 as published, in which a slice gets what arrives first,
        instead of the mean of what arrives from both sides.
    verify
        With ``correspondence``: drop a label where the image is unlike its object.
    min_confidence
        Voxels of less confidence stay ignore. With ``one_way`` confidence then is what the labels
        that arrive from both sides agree on.
    preset, network_seed, changes
        Which network is used with ``correspondence``; the default for the others.
    """

    method: str = NETWORK_METHOD
    one_way: bool = False
    verify: bool = False
    min_confidence: float = 0.0
    preset: str = DEFAULT_INTERPOLATOR_PRESET
    network_seed: int = 0
    changes: PresetChanges = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SparseError(
                f"unknown interpolation {self.method!r}, choose from {', '.join(METHODS)}"
            )
        if not 0 <= self.min_confidence <= 1:
            raise SparseError(f"min_confidence must lie in [0, 1], got {self.min_confidence:g}")
        if self.method != NETWORK_METHOD:
            for option in ("one_way", "verify"):
                if getattr(self, option):
                    raise SparseError(
                        f"{option} works with {NETWORK_METHOD}, not with {self.method}"
                    )
            object.__setattr__(self, "preset", DEFAULT_INTERPOLATOR_PRESET)
            object.__setattr__(self, "network_seed", 0)
            object.__setattr__(self, "changes", ())
        # as JSON gives them, and without what is the preset's anyway
        object.__setattr__(self, "changes", self.network().changes)

    @property
    def uses_network(self) -> bool:
        """Whether a trained network is needed."""
        return self.method == NETWORK_METHOD

    def network(self, device: str | None = None) -> InterpolatorRequest:
        """The network that is needed."""
        changes = tuple((key, value) for key, value in self.changes)
        return InterpolatorRequest(self.preset, self.network_seed, device, changes)

    @property
    def name(self) -> str:
        """Part of a data set's name; what is not the default appears."""
        parts = ["mi", self.method]
        if self.one_way:
            parts.append("oneway")
        if self.verify:
            parts.append("verified")
        if self.preset != DEFAULT_INTERPOLATOR_PRESET:
            parts.append(self.preset)
        if self.network_seed:
            parts.append(f"net{self.network_seed}")
        parts += change_names(self.changes)
        if self.min_confidence:
            parts.append(f"conf{self.min_confidence:g}")
        return "_".join(parts)

    def warp(self, network: Any, volume: SliceStack) -> Warp:
        """What moves labels between slices of a volume."""
        from nnunet_sparse.interpolation.warp import CorrespondenceWarp

        return self.checked(CorrespondenceWarp(network, volume), volume.slices)

    def checked(self, warp: Warp, slices: np.ndarray) -> Warp:
        """The warp with verification, if that is wanted."""
        return verified(warp, slices) if self.verify else warp

    def to_json(self) -> dict[str, Any]:
        """All values by name."""
        return asdict(self)

    def fill(
        self,
        label: np.ndarray,
        annotated: np.ndarray,
        spacing_mm: Sequence[float],
        warp: Warp | None = None,
    ) -> DenseLabel:
        """Fill the slices that are not annotated.

        Parameters
        ----------
        label
            (num_slices, y, x) integers; slices that are not annotated are not looked at.
        annotated
            (num_slices,) bool; at least one is True.
        spacing_mm
            Spacing along y and x.
        warp
            What moves labels between slices, for ``correspondence``.

        Raises
        ------
        ValueError
            If ``correspondence`` has none.
        """
        if self.method == "nearest":
            return interpolate_nearest(label, annotated)
        if self.method == "shape":
            return interpolate_shape(label, annotated, spacing_mm)
        if warp is None:
            raise ValueError(f"{self.method} needs a warp")
        if not self.one_way:
            return propagate_both_ways(label, annotated, warp)
        found = propagate(label, annotated, warp)
        if not self.min_confidence:
            return found
        both = propagate_both_ways(label, annotated, warp, judged=found.label)
        return replace(found, confidence=both.confidence)
