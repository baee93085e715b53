"""Overlap of two masks: counts, Dice and IoU, per case and batched.

Words: the *reference* is the ground truth, the *prediction* is what is scored. A label is an int, a
region is a tuple of ints (nnU-Net's regions: the union of several labels).

Empty masks, here and in :mod:`nnunet_sparse.evaluation.surface_metrics`, judged on the voxels that
are not ignored:

=====================  ==========  =====================  ==================  ============
reference, prediction  Dice, IoU   HD95                   NSD                 counted as
=====================  ==========  =====================  ==================  ============
both empty             undefined   undefined              undefined           num_empty
only prediction empty  0           the image's diagonal   0                   num_missed
only reference empty   0           the image's diagonal   0                   num_false
=====================  ==========  =====================  ==================  ============

Undefined is NaN (null in JSON) and left out of means and standard deviations, as nnU-Net does with
Dice: a case without the structure says nothing about how well the structure is outlined. Where one
mask is empty HD95 is undefined in the literature; leaving such cases out would reward a model for
missing the hard ones, so they get the largest distance that the image allows, and their number
stands beside every mean. Batched values pool the counts of all cases and need no such rule.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Label = int | tuple[int, ...]


@dataclass(frozen=True)
class Counts:
    """Voxels of one label that agree and disagree; adding two pools them."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def num_reference(self) -> int:
        """Voxels of the reference."""
        return self.tp + self.fn

    @property
    def num_prediction(self) -> int:
        """Voxels of the prediction."""
        return self.tp + self.fp

    @property
    def dice(self) -> float:
        """Dice coefficient, 2 TP / (2 TP + FP + FN); NaN if both masks are empty."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else math.nan

    @property
    def iou(self) -> float:
        """Intersection over union, TP / (TP + FP + FN); NaN if both masks are empty."""
        union = self.tp + self.fp + self.fn
        return self.tp / union if union else math.nan


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (ddof = 1) of the ``num`` values that are defined."""

    mean: float
    std: float
    num: int


def label_mask(segmentation: np.ndarray, label: Label) -> np.ndarray:
    """Boolean mask of a label, or of all labels of a region."""
    if isinstance(label, tuple):
        return np.isin(segmentation, label)
    return np.asarray(segmentation == label)


def count_voxels(
    reference: np.ndarray, prediction: np.ndarray, ignore: np.ndarray | None = None
) -> Counts:
    """Count the voxels on which two masks agree and disagree.

    Parameters
    ----------
    reference, prediction
        Boolean masks of one shape.
    ignore
        Boolean mask of voxels that are not counted.

    Returns
    -------
    Counts
        True positives, false positives and false negatives.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if reference.shape != prediction.shape:
        raise ValueError(f"masks of one shape wanted, got {reference.shape}, {prediction.shape}")
    if ignore is not None:
        reference, prediction = reference & ~ignore, prediction & ~ignore
    tp = int(np.count_nonzero(reference & prediction))
    return Counts(
        tp=tp,
        fp=int(np.count_nonzero(prediction)) - tp,
        fn=int(np.count_nonzero(reference)) - tp,
    )


def count_labels(
    reference: np.ndarray, prediction: np.ndarray, labels: Mapping[str, Sequence[int]]
) -> dict[str, Counts]:
    """Count the voxels of several labels or regions.

    Parameters
    ----------
    reference, prediction
        Segmentations of one shape.
    labels
        Values of each label or region, by its name.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    counts = {}
    for name, values in labels.items():
        label = values[0] if len(values) == 1 else tuple(values)
        counts[name] = count_voxels(label_mask(reference, label), label_mask(prediction, label))
    return counts


def pool(counts: Iterable[Counts]) -> Counts:
    """Sum of counts; its ``iou`` and ``dice`` are the batched IoU and the batched Dice."""
    return sum(counts, start=Counts())


def summarize(values: Sequence[float]) -> Summary:
    """Mean and standard deviation of the values that are not NaN.

    The mean of none and the standard deviation of fewer than two are NaN.
    """
    defined = [value for value in values if not math.isnan(value)]
    return Summary(
        mean=float(np.mean(defined)) if defined else math.nan,
        std=float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan,
        num=len(defined),
    )
