"""What a trained network says of the slices of a volume."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SliceScores:
    """Uncertainty and predicted sizes of the slices of a volume, along its slice axis.

    With p the mean over the folds of the probabilities of a voxel's classes, and each map pooled
    over the voxels of a slice as :class:`nnunet_sparse.prediction.pooling.Pooling` says:

    Attributes
    ----------
    entropy
        (num_slices,) float64, pooled predictive entropy, -sum of p log p over the classes, in nats.
    bald
        (num_slices,) float64, pooled mutual information of class and fold (Houlsby et al. 2011,
        "BALD"): the predictive entropy less the mean of the entropies of the folds, in nats; 0 for
        one fold.
    class_entropy
        (num_slices, num_labels) float64, pooled part of each class in the predictive entropy,
        -p log p, in nats. Where voxels are pooled by their mean, the parts add up to ``entropy``.
    predicted
        (num_slices, num_labels) int64, voxels at which each label wins.

    Notes
    -----
    Labels are the network's, from background (0) on, without ``ignore``. A network of regions
    decides on each of them by itself: there the entropies are those of these decisions (Bernoulli),
    added up over the regions for ``entropy`` and ``bald``, and a label has that of the region that
    paints it (``regions_class_order``); background has that of the largest probability.
    """

    entropy: np.ndarray
    bald: np.ndarray
    class_entropy: np.ndarray
    predicted: np.ndarray

    @property
    def num_slices(self) -> int:
        """Number of slices."""
        return len(self.entropy)
