"""Interpolation by moving labels from slice to slice, as a trained network finds their pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from nnunet_sparse.interpolation.dense_label import DenseLabel
from nnunet_sparse.interpolation.method import FromNetwork, InterpolationMethod
from nnunet_sparse.interpolation.propagation import propagate, propagate_both_ways


@dataclass(frozen=True)
class CorrespondenceMethod(InterpolationMethod):
    """Propagation of labels by the correspondence network.

    Attributes
    ----------
    one_way
        Algorithm 1 of the paper, in which a slice gets what arrives first, instead of the mean of
        what arrives from both sides. The confidence then is that of both sides, where confidence is
        asked for.
    verify
        The warp drops a label where the image is unlike its object, see
        :func:`nnunet_sparse.interpolation.verification.verified`.
    """

    one_way: bool = False
    verify: bool = False

    name: ClassVar[str] = "correspondence"
    summary: ClassVar[str] = (
        "by a network that finds each pixel's like in the next slice, trained where that has not "
        "been done"
    )
    uses_network: ClassVar[bool] = True
    switches: ClassVar[Mapping[str, str]] = {"one_way": "oneway", "verify": "verified"}

    def fill(
        self,
        label: np.ndarray,
        annotated: np.ndarray,
        spacing_mm: Sequence[float],
        from_network: FromNetwork = None,
        min_confidence: float = 0.0,
    ) -> DenseLabel:
        """Propagate the annotated slices, see :mod:`nnunet_sparse.interpolation.propagation`."""
        del spacing_mm
        if not callable(from_network):
            raise ValueError(f"{self.name} needs a warp")
        if not self.one_way:
            return propagate_both_ways(label, annotated, from_network)
        found = propagate(label, annotated, from_network)
        if not min_confidence:
            return found
        both = propagate_both_ways(label, annotated, from_network, judged=found.label)
        return replace(found, confidence=both.confidence)
