"""Interpolation by a trained network: what it predicts stands on the slices between.

A network learns from what it has said itself then (self-training; with labels that are kept only
where it was sure enough, "pseudo-labels" of Lee 2013). It has seen the annotated slices, and other
volumes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.interpolation.dense_label import PREDICTED, DenseLabel
from nnunet_sparse.interpolation.method import FromNetwork, InterpolationMethod
from nnunet_sparse.prediction.predicted_volume import PredictedVolume


@dataclass(frozen=True)
class NetworkMethod(InterpolationMethod):
    """The prediction of a network that was trained to segment."""

    name: ClassVar[str] = "network"
    summary: ClassVar[str] = "what a network predicts that nnU-Net has trained (--model)"
    uses_model: ClassVar[bool] = True

    def fill(
        self,
        label: np.ndarray,
        annotated: np.ndarray,
        spacing_mm: Sequence[float],
        from_network: FromNetwork = None,
        min_confidence: float = 0.0,
    ) -> DenseLabel:
        """Take over what was predicted.

        The confidence is the probability of the label that wins, the mean over the folds.
        """
        del spacing_mm, min_confidence
        if not isinstance(from_network, PredictedVolume):
            raise ValueError(f"{self.name} needs a prediction")
        known = annotated[:, None, None]
        origin = np.arange(len(annotated))
        return DenseLabel(
            np.where(known, label, from_network.label).astype(label.dtype),
            np.where(annotated, origin, PREDICTED),
            np.where(annotated, 0, PREDICTED),
            np.where(known, 1, from_network.confidence).astype(np.float16),
        )
