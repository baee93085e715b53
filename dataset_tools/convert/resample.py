"""Images and labels on the voxels of a target grid."""

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.dataset_tools.convert.target_grid import TargetGrid

_ALL_NEIGHBOURS = np.ones((3, 3, 3))
# for interpolation weights such as 0.1 + 0.4, which are meant to be one half
_ROUNDING = 1e-5
# voxels that lie closer to each other, in voxels, are the same ones
_SAME_VOXEL = 1e-3
# that hold all integers of so many bytes
_FLOATS = {1: sitk.sitkFloat32, 2: sitk.sitkFloat32, 4: sitk.sitkFloat64}


def resample_image(image: sitk.Image, grid: TargetGrid, padding: float) -> sitk.Image:
    """Copy intensities where grid and source share their voxels, else interpolate linearly.

    They are interpolated as floats; those of integer types are rounded, where ITK cuts off.

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
    start = _shared_start(image, grid)
    if start is not None:
        return _placed(
            _crop_and_pad(sitk.GetArrayViewFromImage(image), start, grid, padding), image, grid
        )
    dtype = sitk.GetArrayViewFromImage(image).dtype
    is_integer = dtype.kind in "iu"
    origin, spacing = grid.placed_along(image)
    result = sitk.Resample(
        sitk.Cast(image, _FLOATS[dtype.itemsize]) if is_integer else image,
        grid.size[::-1],
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkLinear,
        origin,
        spacing,
        image.GetDirection(),
        padding,
    )
    if not is_integer:
        return result
    return _placed(np.rint(sitk.GetArrayViewFromImage(result)).astype(dtype), image, grid)


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
    result = np.zeros(grid.size, np.uint8)
    source = sitk.GetArrayFromImage(label)
    maps = _index_maps(label, grid)
    box = _box(source, maps, grid)
    if box is not None:
        result[box] = _most_likely(label, grid, box)
    restored = sum(_restore(source, int(value), result, maps) for value in _foreground(source))
    return _placed(result, label, grid), restored


def voxels_outside(source: np.ndarray, label: sitk.Image, grid: TargetGrid) -> int:
    """Number of foreground voxels of the source whose centre lies outside the grid."""
    inside = np.ones(source.shape, bool)
    for axis, indices in enumerate(_index_maps(label, grid)):
        ok = (indices >= 0) & (indices < grid.size[axis])
        inside &= np.expand_dims(ok, [a for a in range(3) if a != axis])
    return int(((source != 0) & ~inside).sum())


def _shared_start(image: sitk.Image, grid: TargetGrid) -> np.ndarray | None:
    """Index (z, y, x) of the source's voxel that is the grid's first one; may lie outside.

    None if the two do not share their voxels, to a thousandth of a voxel.
    """
    spacing, size = np.array(image.GetSpacing()[::-1]), np.array(grid.size)
    first = (np.array(grid.full_offset_mm) + np.array(grid.start) * grid.spacing_mm) / spacing
    start = np.rint(first)
    last = first - start + (size - 1) * (np.array(grid.spacing_mm) / spacing - 1)
    is_shared = np.abs([first - start, last]).max() <= _SAME_VOXEL
    return start.astype(int) if is_shared else None


def _crop_and_pad(
    source: np.ndarray, start: np.ndarray, grid: TargetGrid, padding: float
) -> np.ndarray:
    """Voxels from a start on, (z, y, x); padding outside the source."""
    result = np.full(grid.size, padding, source.dtype)
    stop = start + grid.size
    low, high = np.maximum(start, 0), np.minimum(stop, source.shape)
    if (low < high).all():
        target = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        result[target] = source[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return result


def _placed(voxels: np.ndarray, source: sitk.Image, grid: TargetGrid) -> sitk.Image:
    """Image of the grid's voxels, along the axes of the source."""
    image = sitk.GetImageFromArray(voxels)
    origin, spacing = grid.placed_along(source)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(source.GetDirection())
    return image


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
    from scipy import ndimage

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
    from scipy import ndimage

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
