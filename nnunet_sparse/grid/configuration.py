"""A way of training: an item of ``configurations`` in an experiment file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_sparse.grid import file_rules as rules
from nnunet_sparse.grid.yaml_lines import converted, key_lines, line_number
from nnunet_sparse.planners.planner_classes import default_plans_name, with_scale
from nnunet_sparse.system.atomic import json_digest
from nnunet_sparse.system.schema import Rule, choice, mapping, setting, switch
from nnunet_sparse.training.settings import TrainingSettings

CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
"""nnU-Net's, but for the cascade, which needs predictions of another."""

_DIGEST_LENGTH = 6
_SETTINGS = {
    "rule": mapping("training settings, as {num_epochs: 100}"),
    "check": TrainingSettings.from_block,
}


@dataclass(frozen=True)
class Configuration:
    """A way of training.

    Attributes
    ----------
    configuration
        Configuration in the plans, as ``2d``.
    trainer
        What ``-tr`` names.
    planner, scale
        What ``-pl`` and ``--scale`` name.
    plans
        Name of the plans; by default the planner's own, with a hash of the settings where some are
        changed.
    settings
        Training settings that differ from the planner's.
    rho, s
        Densities and volume fractions that are trained in this way, in place of the task's or the
        experiment's.
    extra
        Whether it is there beside the experiment's comparison, as a check: no part of means over
        tasks.
    line, lines
        Where it and its keys stand in the file.
    """

    configuration: str = setting("3d_fullres", choice(*CONFIGURATIONS))
    trainer: str = setting("SparseTrainer", rules.name("the name of a trainer"))
    planner: str = setting("SparsePlanner", rules.name("the name of a planner"))
    scale: float = setting(1.0, Rule(float, lambda v: 0 < v <= 1, "a number above 0, at most 1"))
    plans: str = setting("", rules.name("a name of letters, digits and single _"))
    settings: dict[str, Any] = field(default_factory=dict, metadata=_SETTINGS)
    rho: tuple[float, ...] = converted((), rules.DENSITIES, rules.fractions)
    s: tuple[float, ...] = converted((), rules.FRACTIONS, rules.fractions)
    extra: bool = setting(False, switch())
    line: int = line_number()
    lines: Mapping[str, int] = key_lines()

    def __post_init__(self) -> None:
        TrainingSettings.from_block(self.settings)


def plans_name(configuration: Configuration) -> str:
    """Name of the plans of a configuration; other settings give another name."""
    if configuration.plans:
        return configuration.plans
    own = default_plans_name(with_scale(configuration.planner, configuration.scale))
    if not configuration.settings:
        return own
    return f"{own}_{json_digest(configuration.settings, _DIGEST_LENGTH)}"
