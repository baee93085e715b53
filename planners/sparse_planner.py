"""nnU-Net's planner for data sets whose slices are annotated along a known axis."""

import json
from pathlib import Path
from typing import Any

from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)

from nnunet_sparse.errors import SparseError
from nnunet_sparse.raw_dataset import SELECTION_FILE
from nnunet_sparse.settings import BLOCK, TrainingSettings


class SparsePlanner(ExperimentPlanner):  # type: ignore[misc]
    """nnU-Net's plans with the slice axis first and a block of training settings.

    The 2d configuration of nnU-Net cuts volumes along the first axis of the transposed array. For a
    sparse data set this must be the axis of the annotated slices, which its ``selection.json``
    names; other data sets are transposed as nnU-Net does.
    """

    settings = TrainingSettings()

    def __init__(self, *args: Any, plans_name: str = "nnsparsePlans", **kwargs: Any) -> None:
        super().__init__(*args, plans_name=plans_name, **kwargs)

    def determine_transpose(self) -> tuple[list[int], list[int]]:
        """Order of the axes that puts the slice axis first, and its inverse."""
        axis = read_slice_axis(Path(self.raw_dataset_folder))
        if axis is None or self.suppress_transpose:
            return super().determine_transpose()  # type: ignore[no-any-return]
        forward = [axis, *(other for other in range(3) if other != axis)]
        return forward, [forward.index(position) for position in range(3)]

    def get_plans_for_configuration(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """nnU-Net's plan of one configuration, and the settings that differ from nnU-Net's."""
        plan: dict[str, Any] = super().get_plans_for_configuration(*args, **kwargs)
        return plan | {BLOCK: self.settings.to_block()}


def read_slice_axis(raw_dataset: Path) -> int | None:
    """Slice axis of a raw data set, or None if it has no ``selection.json``.

    Raises
    ------
    SparseError
        If the file does not name an axis of a volume.
    """
    file = raw_dataset / SELECTION_FILE
    if not file.is_file():
        return None
    try:
        axis = json.loads(file.read_text(encoding="utf-8"))["axis"]
    except (ValueError, KeyError, TypeError):
        axis = None
    if axis not in (0, 1, 2):
        raise SparseError(f'{file} must name the slice axis ("axis": 0, 1 or 2), got {axis!r}')
    return int(axis)
