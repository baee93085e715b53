"""Shape-based interpolation between annotated slices (Raya and Udupa 1990).

Signed distances to the border of each label are interpolated linearly between two annotated slices;
the label is where the result is positive. A label that one of the two does not show vanishes
half-way: its distance there is minus the largest one of the other slice. A pixel is foreground
where the distance of a label or of the union of all labels is positive, and gets the label of the
largest distance, so that labels that meet neither overlap nor leave gaps. Beyond the outermost
annotated slices these are copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from nnunet_sparse.interpolation.dense_label import DenseLabel, nearest_annotated
from nnunet_sparse.interpolation.method import FromNetwork, InterpolationMethod

# in pixels; the logistic function of it is 1 but for 0.0003
_MARGIN = 8


@dataclass(frozen=True)
class ShapeMethod(InterpolationMethod):
    """Shape-based interpolation of every label."""

    name: ClassVar[str] = "shape"
    summary: ClassVar[str] = "by signed distances"

    def fill(
        self,
        label: np.ndarray,
        annotated: np.ndarray,
        spacing_mm: Sequence[float] = (1.0, 1.0),
        from_network: FromNetwork = None,
        min_confidence: float = 0.0,
    ) -> DenseLabel:
        """Interpolate the shape of every label between annotated slices.

        The confidence of a voxel is the logistic function of its distance, in pixels, to the
        nearest place where another label wins; beyond the outermost annotated slices that in the
        slice that is copied, to the power of 1 + hops.
        """
        del from_network, min_confidence
        known = np.flatnonzero(annotated)
        source = nearest_annotated(annotated)
        hops = np.abs(np.arange(len(annotated)) - source)
        filled = label[source]
        confidence = np.ones(label.shape, np.float16)
        pixel_mm = float(min(spacing_mm))
        for below, above in pairwise(known.tolist()):
            between = range(below + 1, above)
            if not between:
                continue
            box = _box(label[below], label[above])
            if box is None:
                continue
            ends = label[below][box], label[above][box]
            values = sorted(({*np.unique(ends[0])} | {*np.unique(ends[1])}) - {0})
            distances = [_distances(ends, [v], spacing_mm) for v in values]
            union = distances[0] if len(values) == 1 else _distances(ends, values, spacing_mm)
            for i in between:
                weight = (i - below) / (above - below)
                each = np.stack([_blend(pair, weight) for pair in distances])
                of_union = _blend(union, weight)
                # a label that vanishes is far from the others, whose distance must not hide it
                foreground = np.maximum(of_union, each.max(axis=0))
                filled[i] = 0
                filled[i][box] = np.where(foreground > 0, np.array(values)[each.argmax(axis=0)], 0)
                confidence[i][box] = _confidence(foreground, each, pixel_mm)
        for end, beyond in (
            (known[0], range(known[0])),
            (known[-1], range(known[-1] + 1, len(label))),
        ):
            if beyond:
                border = _logistic(_distance_to_other_labels(label[end], spacing_mm) / pixel_mm)
                for i in beyond:
                    confidence[i] = border ** (1 + hops[i])
        return DenseLabel(filled, source, hops, confidence)


def signed_distance(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Distance in mm to the nearest pixel of the other kind; positive in the mask.

    Parameters
    ----------
    mask
        (y, x) bool, neither empty nor full.
    spacing_mm
        Spacing along y and x.
    """
    from scipy.ndimage import distance_transform_edt

    inside: np.ndarray = distance_transform_edt(mask, sampling=spacing_mm)
    outside: np.ndarray = distance_transform_edt(~mask, sampling=spacing_mm)
    distance: np.ndarray = inside - outside
    return distance


def _box(*slices: np.ndarray) -> tuple[slice, slice] | None:
    """Box around the foreground, with so much around it that the confidence there is 1."""
    shown = np.logical_or.reduce([part > 0 for part in slices])
    if not shown.any():
        return None
    sides = []
    for axis in (0, 1):
        hits = np.flatnonzero(shown.any(axis=1 - axis))
        sides.append(slice(max(0, hits[0] - _MARGIN), hits[-1] + 1 + _MARGIN))
    return sides[0], sides[1]


def _distances(
    ends: tuple[np.ndarray, np.ndarray], values: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Signed distances of both ends to the border of some labels, joined."""
    # a border of background, so that what touches the edge has a distance as well
    masks = [np.pad(np.isin(end, values), 1) for end in ends]
    first, second = (
        signed_distance(mask, spacing_mm)[1:-1, 1:-1] if mask.any() else None for mask in masks
    )
    if first is None:
        assert second is not None
        return np.full_like(second, -second.max()), second
    return first, np.full_like(first, -first.max()) if second is None else second


def _blend(pair: tuple[np.ndarray, np.ndarray], weight: float) -> np.ndarray:
    mean: np.ndarray = (1 - weight) * pair[0] + weight * pair[1]
    return mean


def _confidence(foreground: np.ndarray, each: np.ndarray, pixel_mm: float) -> np.ndarray:
    margin = np.abs(foreground)
    if len(each) > 1:
        best = np.sort(each, axis=0)
        between_labels = (best[-1] - best[-2]) / 2
        margin = np.where(foreground > 0, np.minimum(margin, between_labels), margin)
    return _logistic(margin / pixel_mm)


def _distance_to_other_labels(label: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Distance in mm from every pixel to the nearest one with another label."""
    from scipy.ndimage import distance_transform_edt

    result = np.full(label.shape, np.inf)
    values = np.unique(label)
    if len(values) > 1:
        for value in values:
            mask = label == value
            result[mask] = np.asarray(distance_transform_edt(mask, sampling=spacing_mm))[mask]
    return result


def _logistic(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-pixels)))
