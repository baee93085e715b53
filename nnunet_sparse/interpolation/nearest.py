"""Interpolation by copying: every slice gets the label of the nearest annotated one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.interpolation.dense_label import DenseLabel, enclosing, nearest_annotated
from nnunet_sparse.interpolation.method import FromNetwork, InterpolationMethod


@dataclass(frozen=True)
class NearestMethod(InterpolationMethod):
    """Copies of the nearest annotated slice; of two equally near ones the lower."""

    name: ClassVar[str] = "nearest"
    summary: ClassVar[str] = "by copying"

    def fill(
        self,
        label: np.ndarray,
        annotated: np.ndarray,
        spacing_mm: Sequence[float] = (1.0, 1.0),
        from_network: FromNetwork = None,
        min_confidence: float = 0.0,
    ) -> DenseLabel:
        """Copy the nearest annotated slice into every other.

        The confidence of a voxel is 1 where the annotated slices on both sides agree, and otherwise
        the share of the way that lies between it and the other one. Beyond the outermost annotated
        slices it is 1/2 to the power of the hops.
        """
        del spacing_mm, from_network, min_confidence
        source = nearest_annotated(annotated)
        hops = np.abs(np.arange(len(annotated)) - source)
        filled = label[source]
        confidence = np.ones(label.shape, np.float16)
        for i in np.flatnonzero(~annotated):
            below, above = enclosing(annotated, int(i))
            if below is None or above is None:
                confidence[i] = 0.5 ** hops[i]
            else:
                weight = 1 - hops[i] / (above - below)
                confidence[i] = np.where(label[below] == label[above], 1, weight)
        return DenseLabel(filled, source, hops, confidence)
