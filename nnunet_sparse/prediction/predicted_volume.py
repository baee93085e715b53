"""What a trained network predicts at every voxel of a volume."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nnunet_sparse.prediction.loaded_network import LoadedNetwork, PreparedImage


@dataclass(frozen=True)
class PredictedVolume:
    """Label and confidence of every voxel, on the grid of the image.

    Attributes
    ----------
    label
        (num_slices, y, x) uint8, or uint16 for many labels: the label that wins.
    confidence
        (num_slices, y, x) float16, its probability: the mean over the folds; of regions that of the
        least certain decision.
    """

    label: np.ndarray
    confidence: np.ndarray


def predict_volume(
    network: "LoadedNetwork", image: "PreparedImage", axis: int, name: str, scratch: Path
) -> PredictedVolume:
    """Predict a volume.

    Parameters
    ----------
    network, image, axis, name, scratch
        As for :func:`nnunet_sparse.prediction.probability_slab.probability_slabs`.

    Raises
    ------
    SparseError, OSError
        As there.
    """
    from nnunet_sparse.prediction.probability_slab import probability_slabs

    dtype = np.min_scalar_type(network.network.label_values[-1])
    labels, confidences = [], []
    for slab in probability_slabs(network, image, axis, name, scratch):
        labels.append(slab.label.cpu().numpy().astype(dtype))
        confidences.append(slab.confidence.half().cpu().numpy())
    return PredictedVolume(np.concatenate(labels), np.concatenate(confidences))
