"""Resampling of labels that loses no annotated slice and annotates nothing else.

nnU-Net resamples a label like a volume, so that a single annotated plane between ignored ones is
kept, doubled or lost by its phase. Here every annotated plane is resampled by itself and placed on
the target planes that lie in its slice.
"""

from collections.abc import Sequence

import numpy as np

from nnunet_sparse.data.annotation import annotated_planes


def resample_label_planes(
    label: np.ndarray, axis: int, new_shape: Sequence[int], ignore_label: int
) -> np.ndarray:
    """Resample the annotated planes of a label to another shape of the same extent.

    Parameters
    ----------
    label
        (z, y, x) integers. -1 and ``ignore_label`` are labels like others within a plane.
    axis
        Slice axis.
    new_shape
        Shape of the result.
    ignore_label
        Value of voxels that are not annotated.

    Returns
    -------
    np.ndarray, shape ``new_shape``, type of ``label``
        Each plane is resampled in-plane, linearly per label, and every voxel takes the label of
        the largest share. :func:`place_planes` says on which planes it stands; all other planes
        are ignore.
    """
    in_plane = tuple(int(n) for position, n in enumerate(new_shape) if position != axis)
    resampled = np.full(tuple(int(n) for n in new_shape), ignore_label, label.dtype)
    source, target = np.moveaxis(label, axis, 0), np.moveaxis(resampled, axis, 0)
    planes = annotated_planes(label, axis, ignore_label)
    placed = place_planes(planes, len(source), len(target))
    for plane in dict.fromkeys(placed.values()):
        targets = [t for t, p in placed.items() if p == plane]
        target[targets] = _resample_plane(source[plane], in_plane)
    return resampled


def place_planes(planes: np.ndarray, num_planes: int, num_targets: int) -> dict[int, int]:
    """Target planes of annotated slices.

    Parameters
    ----------
    planes
        Indices of annotated slices.
    num_planes
        Number of slices before resampling.
    num_targets
        Number of planes afterwards; both cover the same extent.

    Returns
    -------
    dict of int to int
        Slice of every target plane that gets one. Target plane j belongs to the slice that its
        centre lies in, ``floor((j + 0.5) * num_planes / num_targets)``. A slice without such a
        plane stands on the plane its own centre lies in, on the border between two the upper one.
        Where two slices fall on one plane, the nearer centre wins, of equals the lower slice.
    """
    annotated = {int(plane) for plane in planes}
    claims: dict[int, set[int]] = {}
    for target in range(num_targets):
        plane = (2 * target + 1) * num_planes // (2 * num_targets)
        if plane in annotated:
            claims.setdefault(target, set()).add(plane)
    for plane in annotated:
        nearest = (2 * plane + 1) * num_targets // (2 * num_planes)
        claims.setdefault(nearest, set()).add(plane)

    def distance(plane: int, target: int) -> int:
        return abs((2 * plane + 1) * num_targets - (2 * target + 1) * num_planes)

    return {
        target: min(sorted(claiming), key=lambda plane: distance(plane, target))
        for target, claiming in sorted(claims.items())
    }


def _resample_plane(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if plane.shape == shape:
        return plane
    from batchgenerators.augmentations.utils import resize_segmentation

    return np.asarray(resize_segmentation(plane, shape, order=1))
