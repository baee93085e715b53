"""nnU-Net's planners for data sets whose slices are annotated along a known axis.

nnU-Net rounds a patch up to what its pooling divides, so that images are padded: a patch of
40 x 56 x 40 for images of 36 x 50 x 35 voxels. Patches of ours are the largest that the images can
fill.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.experiment_planning.experiment_planners.network_topology import (
    get_pool_and_conv_props,
)
from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (  # noqa: E501
    nnUNetPlannerResEncL,
    nnUNetPlannerResEncM,
    nnUNetPlannerResEncXL,
)

from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.training.settings import BLOCK, TrainingSettings

# nnU-Net's UNet_featuremap_min_edge_length
MIN_FEATURE_MAP_SIDE = 4
_NO_LIMIT = 999_999
_MAX_ATTEMPTS = 5


class SparsePlanning:
    """Slice axis first, patches that fit into the images, and a block of training settings.

    To be mixed into nnU-Net's ``ExperimentPlanner`` or a subclass of it.

    The 2d configuration of nnU-Net cuts volumes along the first axis of the transposed array. For a
    sparse data set this must be the axis of the annotated slices, which its ``selection.json``
    names; other data sets are transposed as nnU-Net does.

    Where nnU-Net's patch would be longer than the median image along an axis, it is planned anew
    for the largest patch that fits, so that little padding is needed; the network and the batch
    size follow from that patch.
    """

    settings = TrainingSettings()

    def determine_transpose(self) -> tuple[list[int], list[int]]:
        """Order of the axes that puts the slice axis first, and its inverse."""
        planner: Any = self
        axis = read_slice_axis(Path(planner.raw_dataset_folder))
        if axis is None or planner.suppress_transpose:
            return super().determine_transpose()  # type: ignore[misc,no-any-return]
        forward = [axis, *(other for other in range(3) if other != axis)]
        return forward, [forward.index(position) for position in range(3)]

    @staticmethod
    def static_estimate_VRAM_usage(*args: Any, **kwargs: Any) -> float:  # noqa: N802
        """Size of a network's feature maps; its weights, whose drawing takes seconds, are none."""
        with torch.device("meta"):
            size: float = ExperimentPlanner.static_estimate_VRAM_usage(*args, **kwargs)
        return size

    def generate_data_identifier(self, configuration_name: str) -> str:
        """Name of the preprocessed data: never that of nnU-Net's own."""
        planner: Any = self
        return f"{planner.plans_identifier}_{configuration_name}"

    def get_plans_for_configuration(
        self,
        spacing: Sequence[float],
        median_shape: Sequence[float],
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """nnU-Net's plan of one configuration within the images, with our settings.

        Parameters
        ----------
        spacing
            Voxel spacing in mm, two or three axes.
        median_shape
            Size of the median image in voxels.
        *args, **kwargs
            What nnU-Net's planner takes besides.
        """
        planner: Any = super()
        image = [float(side) for side in median_shape[: len(spacing)]]
        plan: dict[str, Any] = planner.get_plans_for_configuration(
            spacing, median_shape, *args, **kwargs
        )
        for _ in range(_MAX_ATTEMPTS):
            if all(p <= max(1, m) for p, m in zip(plan["patch_size"], image, strict=True)):
                break
            size = largest_patch(
                spacing,
                plan["patch_size"],
                image,
                self.UNet_featuremap_min_edge_length,  # type: ignore[attr-defined]
            )
            plan = planner.get_plans_for_configuration(spacing, size, *args, **kwargs)
        return plan | {
            "median_image_size_in_voxels": median_shape,
            BLOCK: self.settings.to_block(),
        }


class SparsePlanner(SparsePlanning, ExperimentPlanner):  # type: ignore[misc]
    """nnU-Net's network with the slice axis first and patches that fit into the images."""

    def __init__(self, *args: Any, plans_name: str = "nnsparsePlans", **kwargs: Any) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)


class _ResEncPlanning(SparsePlanning):
    """Like :class:`SparsePlanning`, for nnU-Net's residual encoders.

    A batch covers at most 5 % of the data set, as with nnU-Net's plain network; the planners of
    residual encoders allow all of it, thousands of slices in 2d.
    """

    max_dataset_covered: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_dataset_covered = 0.05


class SparseResEncPlanner(_ResEncPlanning, nnUNetPlannerResEncM):  # type: ignore[misc]
    """nnU-Net's network ``ResEncM`` (Isensee et al. 2024, arXiv:2404.09556), planned like ours."""

    def __init__(self, *args: Any, plans_name: str = "nnsparseResEncPlans", **kwargs: Any) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)


class SparseResEncPlannerL(_ResEncPlanning, nnUNetPlannerResEncL):  # type: ignore[misc]
    """Likewise ``ResEncL``, which nnU-Net recommends, for a GPU of 24 GB."""

    def __init__(self, *args: Any, plans_name: str = "nnsparseResEncLPlans", **kwargs: Any) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)


class SparseResEncPlannerXL(_ResEncPlanning, nnUNetPlannerResEncXL):  # type: ignore[misc]
    """Likewise ``ResEncXL``, for a GPU of 40 GB."""

    def __init__(
        self, *args: Any, plans_name: str = "nnsparseResEncXLPlans", **kwargs: Any
    ) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)


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
