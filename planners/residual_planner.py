"""nnU-Net's residual encoder for data sets whose slices are annotated along a known axis."""

from typing import Any

from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (  # noqa: E501
    nnUNetPlannerResEncM,
)

from nnunet_sparse.planners.sparse_planning import SparsePlanning


class SparseResEncPlanner(SparsePlanning, nnUNetPlannerResEncM):  # type: ignore[misc]
    """nnU-Net's network ``ResEncM`` (Isensee et al. 2024, arXiv:2404.09556), planned like ours.

    A batch covers at most 5 % of the data set, as with nnU-Net's plain network; ``ResEncM`` allows
    all of it, thousands of slices in 2d.
    """

    def __init__(self, *args: Any, plans_name: str = "nnsparseResEncPlans", **kwargs: Any) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)
        self.max_dataset_covered = 0.05
