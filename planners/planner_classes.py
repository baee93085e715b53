"""Planner classes by name: ours, then nnU-Net's.

What a planner of ours is called is known without importing it, since that takes seconds.
"""

import difflib
import inspect
import re
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.paper_tasks import TASKS

_PAPER = "PaperPlanner"
# name: module, default name of its plans
OURS = {
    "SparsePlanner": ("sparse_planner", "nnsparsePlans"),
    "SparseResEncPlanner": ("sparse_planner", "nnsparseResEncPlans"),
    "SparseResEncPlannerL": ("sparse_planner", "nnsparseResEncLPlans"),
    "SparseResEncPlannerXL": ("sparse_planner", "nnsparseResEncXLPlans"),
    "SmallPlanner": ("small_planner", "nnsparseSmallPlans"),
    **{f"{_PAPER}{task}": ("paper_planner", f"nnsparsePaper{task}Plans") for task in TASKS},
}
_SCALED = re.compile(r"(.+)_scale([0-9.]+)")


def with_scale(planner: str, scale: float) -> str:
    """Name of a paper's planner that shrinks batch and patch.

    Raises
    ------
    SparseError
        If the planner has no scale, or the scale is not one.
    """
    if scale == 1:
        return planner
    if not planner.startswith(_PAPER):
        raise SparseError(f"--scale is for {_listed_paper()}, not for {planner}")
    if not 0 < scale < 1:
        raise SparseError(f"scale must lie in (0, 1], got {scale:g} (0.5 halves batch and sides)")
    return f"{planner}_scale{scale:g}"


def is_ours(planner: str) -> bool:
    """Whether a planner is one of ours."""
    return _split(planner)[0] in OURS


def task_of(planner: str) -> str | None:
    """Task of a paper's planner, or None for others."""
    return _split(planner)[0].removeprefix(_PAPER) if planner.startswith(_PAPER) else None


def _listed_paper() -> str:
    return ", ".join(name for name in OURS if name.startswith(_PAPER))


def _split(planner: str) -> tuple[str, float]:
    match = _SCALED.fullmatch(planner)
    return (match[1], float(match[2])) if match and match[1] in OURS else (planner, 1.0)


def find_planner(name: str) -> Any:
    """Planner class with this name.

    Raises
    ------
    SparseError
        If neither we nor nnU-Net have one.
    """
    own, scale = _split(name)
    if own in OURS:
        found = getattr(import_module(f"nnunet_sparse.planners.{OURS[own][0]}"), own)
        return found if scale == 1 else partial(found, scale=scale)
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
    own, scale = _split(planner)
    if own in OURS:
        return OURS[own][1] if scale == 1 else f"{OURS[own][1]}_scale{scale:g}"
    parameters = inspect.signature(find_planner(planner).__init__).parameters
    return str(parameters["plans_name"].default)
