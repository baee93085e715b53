"""What a method of interpolation is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.interpolation.dense_label import DenseLabel
from nnunet_sparse.interpolation.interpolator_presets import DEFAULT_INTERPOLATOR_PRESET
from nnunet_sparse.interpolation.propagation import Warp
from nnunet_sparse.prediction.predicted_volume import PredictedVolume

FromNetwork = Warp | PredictedVolume | None
"""What a method gets from its network, if it has one."""


@dataclass(frozen=True)
class InterpolationMethod(ABC):
    """Way of filling the slices between annotated ones.

    A subclass is entered in :mod:`nnunet_sparse.interpolation.methods`. Its fields, all bool and
    False by default, are the switches of
    :class:`nnunet_sparse.interpolation.request.Interpolation` that it understands.
    """

    name: ClassVar[str]
    """Name in commands, data set names and files."""

    summary: ClassVar[str]
    """How it works, for the help of commands."""

    uses_network: ClassVar[bool] = False
    """Whether it needs a warp by a trained network."""

    uses_model: ClassVar[bool] = False
    """Whether it needs a network that nnU-Net has trained to segment."""

    only_preset: ClassVar[str | None] = None
    """The one preset of the network that it works with; None for any."""

    switches: ClassVar[Mapping[str, str]] = {}
    """What each of its switches adds to the name of an interpolation."""

    @classmethod
    def takes_preset(cls) -> bool:
        """Whether the preset of its network can be chosen."""
        return cls.uses_network and cls.only_preset is None

    @classmethod
    def default_preset(cls) -> str:
        """Preset of its network where none is chosen."""
        return cls.only_preset or DEFAULT_INTERPOLATOR_PRESET

    @abstractmethod
    def fill(
        self,
        label: np.ndarray,
        annotated: np.ndarray,
        spacing_mm: Sequence[float],
        from_network: FromNetwork = None,
        min_confidence: float = 0.0,
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
        from_network
            What moves labels between slices, for a method that uses a network, or what was
            predicted, for one that uses a model.
        min_confidence
            Confidence below which a voxel will not be used; 0 if confidence is not asked for.

        Raises
        ------
        ValueError
            If the method needs a warp or a prediction and there is none.
        """
