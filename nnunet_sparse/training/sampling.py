"""Where a training patch lies around the voxel that it was drawn for.

nnU-Net centres the patch on the voxel, however far it then reaches beyond the image. Where images
are not much larger than patches most of what is supervised is padding, which the network meets in
training only; and with annotated slices far apart the annotation stands at the same few depths of
every patch, so that the network is never told anything elsewhere.
"""

from collections.abc import Sequence

import numpy as np

PLACEMENTS = ("centre", "centre_inside", "inside", "anywhere")


def placement_range(voxel: int, image_size: int, patch_size: int, placement: str) -> range:
    """First indices that a patch may have along one axis so that it contains a voxel.

    Parameters
    ----------
    voxel
        Index of the voxel in the image.
    image_size
        Number of voxels of the image.
    patch_size
        Number of voxels of the patch.
    placement
        ``anywhere``: each of the ``patch_size`` placements, however much of the patch is padding.
        ``inside``: those of them without more padding than needed: a patch not larger than the
        image lies in it, a larger one contains it. ``centre``: nnU-Net's only placement, with the
        voxel in the middle, unless the patch would begin outside the image; it may end there.
        ``centre_inside``: of the placements of ``inside`` that with the voxel nearest to the
        middle.

    Returns
    -------
    range
        In voxels of the image; negative where the patch begins before it.

    Raises
    ------
    ValueError
        If the voxel is not in the image or the placement is unknown.
    """
    if not 0 <= voxel < image_size:
        raise ValueError(f"voxel {voxel} lies outside an image of {image_size} voxels")
    if placement == "centre":
        first = max(voxel - patch_size // 2, min(0, (image_size - patch_size) // 2))
        return range(first, first + 1)
    low, high = voxel - patch_size + 1, voxel
    if placement in ("inside", "centre_inside"):
        low = max(low, min(0, image_size - patch_size))
        high = min(high, max(0, image_size - patch_size))
        if placement == "centre_inside":
            low = high = min(max(voxel - patch_size // 2, low), high)
    elif placement != "anywhere":
        raise ValueError(f"placement must be one of {', '.join(PLACEMENTS)}, got {placement!r}")
    return range(low, high + 1)


def place_patch(
    voxel: Sequence[int],
    image_shape: Sequence[int],
    patch_shape: Sequence[int],
    placement: str,
    rng: np.random.Generator,
) -> list[int]:
    """Draw the first corner of a patch that contains a voxel, uniformly over its placements.

    Parameters
    ----------
    voxel, image_shape, patch_shape, placement
        As for :func:`placement_range`, for each axis.
    rng
        Source of randomness.

    Returns
    -------
    list of int
        Index of the patch's first voxel, for each axis.
    """
    corner = []
    for index, image_size, patch_size in zip(voxel, image_shape, patch_shape, strict=True):
        choices = placement_range(int(index), int(image_size), int(patch_size), placement)
        corner.append(choices[int(rng.integers(len(choices)))])
    return corner
