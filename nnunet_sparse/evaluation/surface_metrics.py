"""Distances between the surfaces of two masks in mm: HD95 and NSD, as MONAI computes them.

- The surface of a mask is made of its voxels with a face neighbour outside the mask. What lies
  beyond the image counts as outside (MONAI's convention): a structure that is cut off by the
  image's edge has a surface there, in reference and prediction alike.
- Distances run between voxel centres and are Euclidean in mm, with the spacing of every axis.
- **HD95** is the larger of the two directed 95th percentiles (linear interpolation), as in MONAI's
  ``compute_hausdorff_distance``, with whose values it agrees.
- **NSD**, the normalised surface Dice, is the share of surface voxels of both masks whose distance
  to the other surface is at most the tolerance, as in MONAI's ``compute_surface_dice`` (Seidlitz et
  al. 2022, arXiv:2111.05408). Every surface voxel counts once; Nikolov et al. 2018 weight by area,
  which needs 2x2x2 neighbourhoods that do not exist in a slice annotated alone.
- **Ignored voxels** belong to no surface and make none: a surface voxel is one that is not ignored
  and has a neighbour that is outside the mask *and not ignored* (or beyond the image). Where one
  slice of many is annotated, its surface is therefore its in-plane contour. (Zeroing both masks
  there would add faces on which any two masks agree.)
- Empty masks: the table in :mod:`nnunet_sparse.evaluation.metrics`. Ignored voxels can also leave a
  mask without a surface: undefined if neither mask has one, else as if the mask were empty.
- An image of a single slice is treated as two-dimensional, else each of its voxels were surface.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DEFAULT_TOLERANCE_MM = 1.0
_PERCENTILE = 0.95
_ROUNDING = 1 + 1e-6  # distances here and spacings in NIfTI headers are float32


@dataclass(frozen=True)
class SurfaceMetrics:
    """HD95 in mm and NSD in [0, 1]; NaN where undefined."""

    hd95_mm: float
    nsd: float


def surface_metrics(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing_mm: Sequence[float],
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    ignore: np.ndarray | None = None,
) -> SurfaceMetrics:
    """Compare the surfaces of two masks; the definitions stand in the module's docstring.

    Parameters
    ----------
    reference, prediction
        Boolean masks of one shape, two or three axes.
    spacing_mm
        Voxel spacing in mm per array axis.
    tolerance_mm
        Distance up to which a surface voxel counts as correct in NSD. The default of 1 mm is about
        a voxel of a usual scan; a tolerance should be the disagreement between human annotators.
    ignore
        Boolean mask of voxels that are left out.

    Returns
    -------
    SurfaceMetrics
        Symmetric in reference and prediction.
    """
    reference, prediction, spacing, ignore = _drop_single_slice(
        reference, prediction, spacing_mm, ignore
    )
    valid = np.ones(reference.shape, dtype=bool) if ignore is None else ~ignore
    present = reference & valid, prediction & valid
    occupied = present[0] | present[1]
    if not occupied.any():
        return SurfaceMetrics(math.nan, math.nan)
    diagonal = math.hypot(*(n * s for n, s in zip(reference.shape, spacing, strict=True)))
    worst = SurfaceMetrics(diagonal, 0.0)
    if not (present[0].any() and present[1].any()):
        return worst

    box = _bounding_box(occupied)
    valid = valid[box]
    distances = _surface_distances(present[0][box], present[1][box], valid, spacing)
    num_surface = sum(len(d) for d in distances)
    if num_surface == 0:
        return SurfaceMetrics(math.nan, math.nan)
    if any(np.isinf(d).any() for d in distances):  # one surface is empty
        return worst
    near = sum(int(np.count_nonzero(d <= tolerance_mm * _ROUNDING)) for d in distances)
    return SurfaceMetrics(
        hd95_mm=max(float(np.quantile(d, _PERCENTILE)) for d in distances),
        nsd=near / num_surface,
    )


def _surface_distances(
    reference: np.ndarray, prediction: np.ndarray, valid: np.ndarray, spacing: Sequence[float]
) -> list[np.ndarray]:
    """Distance of every surface voxel to the other surface, for both directions."""
    points = [_surface(mask, valid) * np.asarray(spacing) for mask in (prediction, reference)]
    return [_distances(*points), _distances(*reversed(points))]


def _surface(mask: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Indices of the surface voxels of a mask, shape (N, axes)."""
    from scipy.ndimage import binary_erosion

    # ignored voxels are filled so that none of their neighbours becomes a surface
    filled = mask | ~valid
    return np.argwhere(filled & ~binary_erosion(filled) & valid)


def _distances(points_mm: np.ndarray, others_mm: np.ndarray) -> np.ndarray:
    """Distance of each point, shape (N, axes), to the nearest of the others; infinite without."""
    from scipy.spatial import KDTree

    if not len(points_mm) or not len(others_mm):
        return np.full(len(points_mm), np.inf)
    # one query does not pay for a deep tree
    nearest: np.ndarray = KDTree(others_mm, leafsize=32).query(points_mm)[0]
    # distances that are equal but for rounding count as equal
    return nearest.astype(np.float32).astype(np.float64)


def _drop_single_slice(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing: Sequence[float],
    ignore: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, list[float], np.ndarray | None]:
    if reference.ndim != 3 or 1 not in reference.shape:
        return reference, prediction, list(spacing), ignore
    axis = reference.shape.index(1)
    return (
        reference.squeeze(axis),
        prediction.squeeze(axis),
        [s for i, s in enumerate(spacing) if i != axis],
        None if ignore is None else ignore.squeeze(axis),
    )


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Smallest box around a mask that holds all its face neighbours inside the image."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(i for i in range(mask.ndim) if i != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        box.append(slice(max(int(hits[0]) - 1, 0), int(hits[-1]) + 2))
    return tuple(box)
