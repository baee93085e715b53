"""Planner classes by name: ours, then nnU-Net's."""

import difflib
from pathlib import Path
from typing import Any

import nnunetv2
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from nnunet_sparse.errors import SparseError
from nnunet_sparse.planners.small_planner import SmallPlanner
from nnunet_sparse.planners.sparse_planner import SparsePlanner

_OURS = {"SparsePlanner": SparsePlanner, "SmallPlanner": SmallPlanner}


def find_planner(name: str) -> Any:
    """Planner class with this name.

    Raises
    ------
    SparseError
        If neither we nor nnU-Net have one.
    """
    if name in _OURS:
        return _OURS[name]
    folder = Path(nnunetv2.__file__).parent / "experiment_planning"
    found = recursive_find_python_class(str(folder), name, "nnunetv2.experiment_planning")
    if isinstance(found, type) and issubclass(found, ExperimentPlanner):
        return found
    close = difflib.get_close_matches(name, _OURS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise SparseError(
        f"unknown planner {name!r} ({hint}ours are {', '.join(_OURS)}; nnU-Net's, like "
        "ExperimentPlanner and nnUNetPlannerResEncM, work as well)"
    )
