"""The largest patch that an image can fill.

nnU-Net rounds a patch up to what its pooling divides, so that images are padded: a patch of
40 x 56 x 40 for images of 36 x 50 x 35 voxels.
"""

import math
from collections.abc import Sequence

from nnunetv2.experiment_planning.experiment_planners.network_topology import (
    get_pool_and_conv_props,
)

# nnU-Net's UNet_featuremap_min_edge_length
MIN_FEATURE_MAP_SIDE = 4
_NO_LIMIT = 999_999


def largest_patch(
    spacing: Sequence[float],
    size: Sequence[float],
    limit: Sequence[float],
    min_feature_map_side: int = MIN_FEATURE_MAP_SIDE,
) -> list[int]:
    """Patch size that nnU-Net's pooling leaves as it is and that fits into an image.

    Parameters
    ----------
    spacing
        Voxel spacing in mm per axis, two or three axes.
    size
        Wanted size in voxels.
    limit
        Size of the image in voxels; at least 1 along every axis.
    min_feature_map_side
        Shortest side of the coarsest feature map, in voxels.

    Returns
    -------
    list of int
        Size in voxels, at most ``limit``: ``size``, rounded up by nnU-Net where the result fits,
        else down as little as possible.
    """
    patch = [max(1, math.floor(min(s, m))) for s, m in zip(size, limit, strict=True)]
    while True:
        padded = get_pool_and_conv_props(spacing, patch, min_feature_map_side, _NO_LIMIT)[3]
        too_long = [
            axis for axis, side in enumerate(padded) if side > max(1, math.floor(limit[axis]))
        ]
        if not too_long:
            return [int(side) for side in padded]
        # axes of fewer than two feature maps' sides are not pooled, hence never too long
        for axis in too_long:
            patch[axis] -= 1
