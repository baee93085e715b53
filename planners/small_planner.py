"""Networks that train on a CPU within minutes."""

import math
from collections.abc import Sequence
from typing import Any

from nnunet_sparse.planners.sparse_planner import SparsePlanner
from nnunet_sparse.training.settings import TrainingSettings

# per number of dimensions
_MAX_PATCH_VOXELS = {2: 128 * 128, 3: 40 * 56 * 40}
_MAX_PATCH_SIDE = {2: 160, 3: 80}
_BATCH_SIZE = {2: 8, 3: 4}
# nnU-Net does not pool below this
_MIN_PATCH_SIDE = 8


class SmallPlanner(SparsePlanner):
    """Few features, small patches, and a short training with AdamW.

    Batch and patch size do not depend on the number of training cases, so that data sets with
    different shares of annotated volumes get the same network and the same training.
    """

    settings = TrainingSettings(
        num_epochs=10,
        num_iterations_per_epoch=50,
        num_val_iterations_per_epoch=10,
        optimizer="adamw",
        initial_lr=2e-3,
        save_every=5,
    )

    def __init__(self, *args: Any, plans_name: str = "nnsparseSmallPlans", **kwargs: Any) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)
        self.UNet_base_num_features = 8
        self.UNet_max_features_2d = self.UNet_max_features_3d = 64
        # a patch that covers a small part of the volume is what makes it small, not a reason for
        # a configuration at low resolution
        self.lowres_creation_threshold = 0.0

    def get_plans_for_configuration(
        self,
        spacing: Sequence[float],
        median_shape: Sequence[float],
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Plan for images of the size of a small patch, with a small fixed batch."""
        dimensions = len(spacing)
        plan = super().get_plans_for_configuration(
            spacing, small_patch(median_shape[:dimensions]), *args, **kwargs
        )
        return plan | {
            "median_image_size_in_voxels": median_shape,
            "batch_size": _BATCH_SIZE[dimensions],
        }


def small_patch(median_shape: Sequence[float]) -> list[int]:
    """Size of a patch with the proportions of the images and a limited number of voxels.

    Parameters
    ----------
    median_shape
        Size of a typical image in voxels, two or three axes.

    Returns
    -------
    list of int
        No axis is longer than the image's.
    """
    dimensions = len(median_shape)
    voxels = math.prod(float(side) for side in median_shape)
    scale = min(1.0, (_MAX_PATCH_VOXELS[dimensions] / voxels) ** (1 / dimensions))
    limit = _MAX_PATCH_SIDE[dimensions]
    return [
        min(round(side), limit, max(round(side * scale), _MIN_PATCH_SIDE)) for side in median_shape
    ]
