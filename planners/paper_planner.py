"""Planners with the batch size, patch size and spacing of the paper's tasks, a class for each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from nnunetv2.experiment_planning.experiment_planners.network_topology import (
    get_pool_and_conv_props,
)

from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.planners.sparse_planner import SparsePlanner
from nnunet_sparse.training.paper_tasks import TASKS, fitted, scaled


class PaperPlanner(SparsePlanner):
    """Plans for the trainers of the paper, which bring their networks and recipes with them.

    Nothing but spacing, batch size and patch size differs from ``SparsePlanner``; patches are not
    larger than the images need (:func:`nnunet_sparse.training.paper_tasks.fitted`), which changes
    nothing for images of the paper's sizes. The network in the plans, which ``SparseTrainer``
    trains, is nnU-Net's for that patch. There are no 3d configurations at low resolution.

    Parameters
    ----------
    scale
        Shrinks batch and patch (:func:`nnunet_sparse.training.paper_tasks.scaled`).
    """

    task: ClassVar[str]

    def __init__(
        self, *args: Any, plans_name: str = "nnsparsePaperPlans", scale: float = 1, **kwargs: Any
    ) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)
        self.scale = scale
        self.lowres_creation_threshold = 0.0

    def determine_fullres_target_spacing(self) -> np.ndarray:
        """Spacing of the paper in mm, for the axes of the array before it is transposed."""
        between, *within = TASKS[self.task].spacing
        axis = read_slice_axis(Path(self.raw_dataset_folder)) or 0
        return np.insert(np.array(within), axis, between)

    def get_plans_for_configuration(
        self,
        spacing: Sequence[float],
        median_shape: Sequence[float],
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Plan for patches of the paper's size."""
        size = scaled(TASKS[self.task].sizes[len(spacing)], self.scale)
        image = [float(side) for side in median_shape[: len(spacing)]]
        patch = fitted(size.patch_size, image)
        plan = super().get_plans_for_configuration(spacing, patch, *args, **kwargs)
        plan["architecture"]["arch_kwargs"].update(self._topology(spacing, patch))
        return plan | {
            "median_image_size_in_voxels": median_shape,
            "patch_size": patch,
            "batch_size": size.batch_size,
        }

    def _topology(self, spacing: Sequence[float], patch: Sequence[int]) -> dict[str, Any]:
        """Stages of nnU-Net's network that take the patch as it is, without padding."""
        max_num_pool = 99
        while True:
            pools, strides, kernels, padded, _ = get_pool_and_conv_props(
                spacing, patch, self.UNet_featuremap_min_edge_length, max_num_pool
            )
            if list(padded) == list(patch):
                break
            max_num_pool = max(pools) - 1
        most = self.UNet_max_features_2d if len(patch) == 2 else self.UNet_max_features_3d
        stages = len(strides)
        return {
            "n_stages": stages,
            "features_per_stage": [
                min(most, self.UNet_base_num_features * 2**stage) for stage in range(stages)
            ],
            "kernel_sizes": kernels,
            "strides": strides,
            "n_conv_per_stage": self.UNet_blocks_per_stage_encoder[:stages],
            "n_conv_per_stage_decoder": self.UNet_blocks_per_stage_decoder[: stages - 1],
        }


def _planner_class(task: str) -> type[PaperPlanner]:
    """Planner of a task; nnU-Net writes its name into the plans."""
    described = TASKS[task]
    sizes = (
        f"{dimensions}d: {size.batch_size} patches of {' x '.join(map(str, size.patch_size))}"
        for dimensions, size in described.sizes.items()
    )
    text = f"{' x '.join(f'{mm:g}' for mm in described.spacing)} mm; {'; '.join(sizes)}."
    members = {"__module__": __name__, "__doc__": text, "task": task}
    return type(f"PaperPlanner{task}", (PaperPlanner,), members)


globals().update({planner.__name__: planner for planner in map(_planner_class, TASKS)})
