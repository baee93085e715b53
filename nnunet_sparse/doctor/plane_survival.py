"""Which annotated slices are still annotated after resampling.

Both arrays cover the same extent: plane j of ``num_targets`` covers what the slices from
``j * num_slices / num_targets`` to ``(j + 1) * num_slices / num_targets`` cover.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

# a slice survives if it keeps at least this share of its annotated area
MIN_AREA = 0.5
_IN_PLANE = 3


def planes_of_slice(slice_index: int, num_slices: int, num_targets: int) -> list[int]:
    """Target planes whose centre lies in a slice or, if there is none, all that overlap it."""
    low, high = slice_index * num_targets, (slice_index + 1) * num_targets
    near = range(low // num_slices, min(num_targets, -(-high // num_slices)))
    centred = [j for j in near if 2 * low <= (2 * j + 1) * num_slices < 2 * high]
    return centred or list(near)


def lost_slices(annotated: np.ndarray, resampled: np.ndarray) -> list[int]:
    """Annotated slices that no target plane shows.

    Parameters
    ----------
    annotated
        (n,) share of each slice's area that is annotated.
    resampled
        (m,) the same after resampling.

    Returns
    -------
    list of int
        Slices of which no plane keeps MIN_AREA of the annotated area. Two slices on one target
        plane both count as kept.
    """
    lost = []
    for index in np.flatnonzero(annotated > 0):
        planes = planes_of_slice(int(index), len(annotated), len(resampled))
        if resampled[planes].max() < MIN_AREA * annotated[index]:
            lost.append(int(index))
    return lost


def stray_planes(annotated: np.ndarray, resampled: np.ndarray) -> list[int]:
    """Annotated target planes that no annotated slice overlaps."""
    num_slices, num_targets = len(annotated), len(resampled)
    stray = []
    for target in np.flatnonzero(resampled > 0):
        low = int(target) * num_slices // num_targets
        high = -(-(int(target) + 1) * num_slices // num_targets)
        if not annotated[low:high].any():
            stray.append(int(target))
    return stray


def stock_planes(
    annotated: np.ndarray,
    axis: int,
    num_targets: int,
    spacing: Sequence[float],
    target_spacing: Sequence[float],
    resample: Callable[..., Any],
    arguments: Mapping[str, Any],
) -> np.ndarray:
    """What nnU-Net's resampling makes of annotated slices.

    Slices are taken as annotated completely: of a volume that is constant in-plane a few voxels
    tell everything.

    Parameters
    ----------
    annotated
        (n,) share of each slice's area that is annotated.
    axis
        Axis of the slices in the transposed volume.
    num_targets
        Number of planes along that axis afterwards.
    spacing, target_spacing
        Of the three transposed axes, in mm.
    resample, arguments
        nnU-Net's function for labels.

    Returns
    -------
    np.ndarray, shape (num_targets,)
        1 where the plane is annotated.
    """
    shape = [_IN_PLANE] * 3
    shape[axis] = len(annotated)
    view = [1, 1, 1]
    view[axis] = -1
    label = np.broadcast_to(np.where(annotated > 0, 0.0, 1.0).reshape(view), shape)
    new_shape = list(shape)
    new_shape[axis] = num_targets
    result = np.asarray(
        resample(
            label[None].astype(np.float32),
            np.array(new_shape),
            list(spacing),
            list(target_spacing),
            **arguments,
        )
    )[0]
    centre = [_IN_PLANE // 2] * 3
    planes = np.moveaxis(result, axis, 0)[:, centre[1], centre[2]]
    return np.asarray(planes == 0, dtype=np.float64)
