"""A label of which every slice is filled, and where each slice came from."""

from dataclasses import dataclass

import numpy as np

NEVER_REACHED = -1
PREDICTED = -2


@dataclass(frozen=True)
class DenseLabel:
    """Result of an interpolation.

    Attributes
    ----------
    label
        (num_slices, y, x) integers; annotated slices as they were.
    source
        (num_slices,) index of the annotated slice that a slice's label came from: its own where it
        is annotated, ``NEVER_REACHED`` where nothing came, ``PREDICTED`` where a trained network
        predicted it.
    hops
        (num_slices,) number of slices that the label has travelled; 0 where the slice is annotated,
        ``NEVER_REACHED`` or ``PREDICTED`` as above.
    confidence
        (num_slices, y, x) float16 in 0..1, of the label that a voxel got; 1 in annotated slices.
    """

    label: np.ndarray
    source: np.ndarray
    hops: np.ndarray
    confidence: np.ndarray

    def with_ignore(self, min_confidence: float, ignore_label: int) -> np.ndarray:
        """The label, with voxels of less confidence set to ignore."""
        return np.where(self.confidence < min_confidence, ignore_label, self.label).astype(
            self.label.dtype
        )


def nearest_annotated(annotated: np.ndarray) -> np.ndarray:
    """Index of the annotated slice nearest to each slice; of two the lower one.

    Parameters
    ----------
    annotated
        (num_slices,) bool; at least one is True.
    """
    known = np.flatnonzero(annotated)
    distance = np.abs(np.arange(len(annotated))[:, None] - known)
    nearest: np.ndarray = known[distance.argmin(axis=1)]
    return nearest


def enclosing(annotated: np.ndarray, i: int) -> tuple[int | None, int | None]:
    """Indices of the annotated slices next to slice i below and above it, i itself included."""
    known = np.flatnonzero(annotated)
    at = int(np.searchsorted(known, i, side="right"))
    below = int(known[at - 1]) if at else None
    if below == i:
        return i, i
    return below, int(known[at]) if at < len(known) else None
