"""Images and labels on the voxels of a target grid."""

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from nnunet_sparse.dataset_tools.convert.target_grid import TargetGrid

_ALL_NEIGHBOURS = np.ones((3, 3, 3))
# for interpolation weights such as 0.1 + 0.4, which are meant to be one half
_ROUNDING = 1e-5


def resample_image(image: sitk.Image, grid: TargetGrid, padding: float) -> sitk.Image:
    """Interpolate intensities linearly.

    Parameters
    ----------
    image
        The source.
    grid
        Target voxels.
    padding
        Value outside the source.

    Returns
    -------
    sitk.Image
        In the source's type; where grid and source share voxels their values are the source's.
    """
    origin, spacing = grid.placed_along(image)
    return sitk.Resample(
        image,
        grid.size[::-1],
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkLinear,
        origin,
        spacing,
        image.GetDirection(),
        padding,
    )


def resample_label(label: sitk.Image, grid: TargetGrid) -> tuple[sitk.Image, int]:
    """Put a label on other voxels without losing an object.

    A target voxel is foreground if the linearly interpolated share of foreground is at least one
    half, and then has the label with the largest share (the highest label of equal ones: a tumour
    rather than its organ). A connected component (26 neighbours) of a label that is gone
    afterwards is restored: every target voxel that contains the centre of one of its voxels gets
    the label. Thin parts of a larger component have no such guarantee.

    Parameters
    ----------
    label
        uint8.
    grid
        Target voxels; must contain the foreground.

    Returns
    -------
    tuple of sitk.Image and int
        The label, uint8, and the number of restored components.
    """
    origin, spacing = grid.placed_along(label)
    result = np.zeros(grid.size, np.uint8)
    source = sitk.GetArrayFromImage(label)
    maps = _index_maps(label, grid)
    box = _box(source, maps, grid)
    if box is not None:
        result[box] = _most_likely(label, grid, box)
    restored = sum(_restore(source, int(value), result, maps) for value in _foreground(source))
    image = sitk.GetImageFromArray(result)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(label.GetDirection())
    return image, restored


def voxels_outside(source: np.ndarray, label: sitk.Image, grid: TargetGrid) -> int:
    """Number of foreground voxels of the source whose centre lies outside the grid."""
    inside = np.ones(source.shape, bool)
    for axis, indices in enumerate(_index_maps(label, grid)):
        ok = (indices >= 0) & (indices < grid.size[axis])
        inside &= np.expand_dims(ok, [a for a in range(3) if a != axis])
    return int(((source != 0) & ~inside).sum())


def _index_maps(label: sitk.Image, grid: TargetGrid) -> list[np.ndarray]:
    """For each axis, the target index of every source index."""
    size, spacing = label.GetSize()[::-1], label.GetSpacing()[::-1]
    return [grid.indices(axis, size[axis], spacing[axis]) for axis in range(3)]


def _foreground(source: np.ndarray) -> np.ndarray:
    """Label values, ascending, without 0."""
    values = np.flatnonzero(np.bincount(source.ravel(), minlength=2))
    return np.asarray(values[values != 0])


def _box(
    source: np.ndarray, maps: list[np.ndarray], grid: TargetGrid
) -> tuple[slice, slice, slice] | None:
    """Part of the grid in which there can be foreground; None if there is none."""
    found = ndimage.find_objects((source != 0).view(np.uint8))
    if not found:
        return None
    sides = []
    for axis, used in enumerate(found[0]):
        # the share of foreground is above 0 up to one source voxel further out
        low = maps[axis][max(used.start - 1, 0)] - 1
        high = maps[axis][min(used.stop, source.shape[axis] - 1)] + 1
        sides.append(slice(max(int(low), 0), min(int(high) + 1, grid.size[axis])))
    return sides[0], sides[1], sides[2]


def _most_likely(
    label: sitk.Image, grid: TargetGrid, box: tuple[slice, slice, slice]
) -> np.ndarray:
    """Label values in a part of the grid by interpolated shares."""
    part = grid.part(box)
    best = np.zeros(part.size, np.float32)
    total = np.zeros(part.size, np.float32)
    values = np.zeros(part.size, np.uint8)
    for value in _foreground(sitk.GetArrayViewFromImage(label)):
        mask = sitk.Cast(sitk.Equal(label, int(value)), sitk.sitkFloat32)
        share = sitk.GetArrayFromImage(resample_image(mask, part, 0.0))
        wins = share >= best - _ROUNDING
        values[wins & (share > _ROUNDING)] = value
        best = np.maximum(best, share)
        total += share
    values[total < 0.5 - _ROUNDING] = 0
    return values


def _restore(source: np.ndarray, value: int, result: np.ndarray, maps: list[np.ndarray]) -> int:
    """Write the components of a label that the result has lost into it, and count them."""
    box = ndimage.find_objects((source == value).view(np.uint8))[0]
    components, count = ndimage.label(source[box] == value, _ALL_NEIGHBOURS)
    where = np.nonzero(components)
    target = tuple(
        indices[at + side.start] for indices, at, side in zip(maps, where, box, strict=True)
    )
    ids = components[where]
    kept = np.unique(ids[result[target] == value])
    lost = ~np.isin(ids, kept)
    result[tuple(index[lost] for index in target)] = value
    return int(count) - len(kept)
