"""Planner classes by name: ours, then nnU-Net's.

What a planner of ours is called is known without importing it, since that takes seconds.
"""

import difflib
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

from nnunet_sparse.errors import SparseError

# name: module, default name of its plans
OURS = {
    "SparsePlanner": ("sparse_planner", "nnsparsePlans"),
    "SparseResEncPlanner": ("residual_planner", "nnsparseResEncPlans"),
    "SmallPlanner": ("small_planner", "nnsparseSmallPlans"),
}


def find_planner(name: str) -> Any:
    """Planner class with this name.

    Raises
    ------
    SparseError
        If neither we nor nnU-Net have one.
    """
    if name in OURS:
        return getattr(import_module(f"nnunet_sparse.planners.{OURS[name][0]}"), name)
    import nnunetv2
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
        ExperimentPlanner,
    )
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    folder = Path(nnunetv2.__file__).parent / "experiment_planning"
    found = recursive_find_python_class(str(folder), name, "nnunetv2.experiment_planning")
    if isinstance(found, type) and issubclass(found, ExperimentPlanner):
        return found
    close = difflib.get_close_matches(name, OURS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise SparseError(
        f"unknown planner {name!r} ({hint}ours are {', '.join(OURS)}; nnU-Net's, like "
        "ExperimentPlanner and nnUNetPlannerResEncM, work as well)"
    )


def default_plans_name(planner: str) -> str:
    """Plans name that a planner uses by itself.

    Raises
    ------
    SparseError
        If there is no such planner.
    """
    if planner in OURS:
        return OURS[planner][1]
    parameters = inspect.signature(find_planner(planner).__init__).parameters
    return str(parameters["plans_name"].default)
