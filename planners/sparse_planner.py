"""nnU-Net's planner for data sets whose slices are annotated along a known axis."""

from typing import Any

from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)

from nnunet_sparse.planners.sparse_planning import SparsePlanning


class SparsePlanner(SparsePlanning, ExperimentPlanner):  # type: ignore[misc]
    """nnU-Net's network with the slice axis first and patches that fit into the images."""

    def __init__(self, *args: Any, plans_name: str = "nnsparsePlans", **kwargs: Any) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)
