"""How the slices between annotated ones are filled."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_sparse.interpolation.dense_label import DenseLabel
from nnunet_sparse.interpolation.interpolator_presets import DEFAULT_INTERPOLATOR_PRESET
from nnunet_sparse.interpolation.interpolator_request import (
    InterpolatorRequest,
    PresetChanges,
    change_names,
)
from nnunet_sparse.interpolation.method import FromNetwork
from nnunet_sparse.interpolation.methods import (
    DEFAULT_METHOD,
    interpolation_method,
    methods_with_model,
    methods_with_presets,
    methods_with_switch,
)
from nnunet_sparse.interpolation.propagation import Warp
from nnunet_sparse.interpolation.slice_stack import SliceStack
from nnunet_sparse.interpolation.verification import verified
from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    from nnunet_sparse.interpolation.network import CorrespondenceNetwork

_SWITCHES = ("one_way", "verify")
# of a model's hash in names
_DIGITS = 8


@dataclass(frozen=True)
class Interpolation:
    """A way of interpolating labels.

    Attributes
    ----------
    method
        Name of one of :mod:`nnunet_sparse.interpolation.methods`.
    one_way, verify
        Switches of the method ``correspondence``, see
        :class:`nnunet_sparse.interpolation.correspondence.CorrespondenceMethod`.
    min_confidence
        Voxels of less confidence stay ignore.
    preset, network_seed, changes
        Which network is used, by methods that use one; the default for the others. No preset is
        that of the method.
    model
        Hash of the trained network (:attr:`TrainedNetwork.digest`), of a method that predicts with
        one; empty until it is known.
    teacher
        Name of that network in the experiment that trains it, which is known before it is; it
        stands for the hash in names then. Empty if none does.
    """

    method: str = DEFAULT_METHOD
    one_way: bool = False
    verify: bool = False
    min_confidence: float = 0.0
    preset: str = ""
    network_seed: int = 0
    changes: PresetChanges = ()
    model: str = ""
    teacher: str = ""

    def __post_init__(self) -> None:
        method = interpolation_method(self.method)
        if not 0 <= self.min_confidence <= 1:
            raise SparseError(f"min_confidence must lie in [0, 1], got {self.min_confidence:g}")
        for switch in _SWITCHES:
            if getattr(self, switch) and switch not in method.switches:
                raise SparseError(
                    f"{switch} works with {methods_with_switch(switch)}, not with {self.method}"
                )
        for name in ("model", "teacher"):
            if getattr(self, name) and not method.uses_model:
                works = methods_with_model()
                raise SparseError(f"{name} works with {works}, not with {self.method}")
        if not self.preset:
            object.__setattr__(self, "preset", method.default_preset())
        _ = self.network()  # refuses an unknown preset
        if method.only_preset not in (None, self.preset):
            raise SparseError(
                f"preset works with {methods_with_presets()}, not with {self.method}, whose "
                f"network is of preset {method.only_preset}"
            )
        if not method.uses_network:
            object.__setattr__(self, "preset", DEFAULT_INTERPOLATOR_PRESET)
            object.__setattr__(self, "network_seed", 0)
            object.__setattr__(self, "changes", ())
        # as JSON gives them, and without what is the preset's anyway
        object.__setattr__(self, "changes", self.network().changes)

    @property
    def uses_network(self) -> bool:
        """Whether a network is needed that learns from images alone."""
        return interpolation_method(self.method).uses_network

    @property
    def uses_model(self) -> bool:
        """Whether a network is needed that nnU-Net has trained."""
        return interpolation_method(self.method).uses_model

    def network(self, device: str | None = None) -> InterpolatorRequest:
        """The network that is needed."""
        changes = tuple((key, value) for key, value in self.changes)
        return InterpolatorRequest(self.preset, self.network_seed, device, changes)

    @property
    def name(self) -> str:
        """Part of a data set's name; what is not the default appears."""
        parts = ["mi", self.method]
        switches = interpolation_method(self.method).switches
        parts += [part for switch, part in switches.items() if getattr(self, switch)]
        parts += self._network_parts(interpolation_method(self.method).default_preset())
        network = self.teacher or self.model[:_DIGITS]
        parts += [network] if network else []
        if self.min_confidence:
            parts.append(f"conf{self.min_confidence:g}")
        return "_".join(parts)

    @property
    def title(self) -> str:
        """The same for people and tables, without the networks that an experiment has trained."""
        return replace(self, teacher="").name.removeprefix("mi_")

    @property
    def network_names(self) -> list[str]:
        """Parts of names for the network, whatever the method; what is not the default appears."""
        return self._network_parts(DEFAULT_INTERPOLATOR_PRESET)

    def _network_parts(self, default: str) -> list[str]:
        preset = [self.preset] if self.preset != default else []
        seed = [f"net{self.network_seed}"] if self.network_seed else []
        return [*preset, *seed, *change_names(self.changes)]

    def warp(self, network: "CorrespondenceNetwork", volume: SliceStack) -> Warp:
        """What moves labels between slices of a volume."""
        from nnunet_sparse.interpolation.warp import CorrespondenceWarp

        return self.checked(CorrespondenceWarp(network, volume), volume.slices)

    def checked(self, warp: Warp, slices: np.ndarray) -> Warp:
        """The warp with verification, if that is wanted."""
        return verified(warp, slices) if self.verify else warp

    def to_json(self) -> dict[str, Any]:
        """All values by name; of those that were added later what is not the default."""
        later = ("model", "teacher")
        return {name: value for name, value in asdict(self).items() if name not in later or value}

    def fill(
        self,
        label: np.ndarray,
        annotated: np.ndarray,
        spacing_mm: Sequence[float],
        from_network: FromNetwork = None,
    ) -> DenseLabel:
        """Fill the slices that are not annotated.

        Parameters
        ----------
        label, annotated, spacing_mm, from_network
            As for :meth:`nnunet_sparse.interpolation.method.InterpolationMethod.fill`.

        Raises
        ------
        ValueError
            If the method needs a warp or a prediction and there is none.
        """
        cls = interpolation_method(self.method)
        method = cls(**{switch: getattr(self, switch) for switch in cls.switches})
        return method.fill(label, annotated, spacing_mm, from_network, self.min_confidence)
