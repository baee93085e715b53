"""What a program proposes for a slice: a copy of the nearest annotated one, or interpolation."""

import numpy as np

from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.interpolation.shape import ShapeMethod


def nearest_annotated_slice(volume: OpenVolume, index: int) -> int | None:
    """The nearest other slice that is annotated and shows an object; the lower one of two."""
    others = [i for i in volume.annotated(with_objects=True) if i != index]
    return min(others, key=lambda i: (abs(i - index), i), default=None)


def copied(volume: OpenVolume, index: int) -> np.ndarray | None:
    """The nearest annotated slice that shows an object; None if there is none.

    Returns
    -------
    np.ndarray or None
        (rows, columns) labels; background where that slice is ``ignore``.
    """
    nearest = nearest_annotated_slice(volume, index)
    return None if nearest is None else _without_ignore(volume, nearest)


def interpolated(volume: OpenVolume, index: int) -> np.ndarray | None:
    """What lies between the annotated slices below and above (interpolation by shape).

    Beyond the outermost annotated slice it is that one. None if no annotated slice shows an
    object; (rows, columns) labels otherwise.
    """
    annotated = [i for i in volume.annotated() if i != index]
    if not any(i != index for i in volume.annotated(with_objects=True)):
        return None
    below = max((i for i in annotated if i < index), default=index)
    above = min((i for i in annotated if i > index), default=index)
    known = np.zeros(above - below + 1, bool)
    label = np.zeros((len(known), *volume.planes.shape[1:]), volume.label.dtype)
    for i in {below, above} - {index}:
        known[i - below] = True
        label[i - below] = _without_ignore(volume, i)
    filled = ShapeMethod().fill(label, known, volume.plane_spacing_mm).label
    return np.asarray(filled[index - below])


def _without_ignore(volume: OpenVolume, index: int) -> np.ndarray:
    plane = volume.decided(index)
    plane[plane == volume.campaign.ignore_label] = 0
    return plane
