"""What a training recipe consists of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import (
    Rule,
    check_fields,
    check_value,
    choice,
    find_rule,
    mapping,
    not_negative,
    positive,
    rules_of,
    setting,
    share,
    subset,
    switch,
    whole,
)
from nnunet_sparse.training.roles import ROLES
from nnunet_sparse.training.sampling import PLACEMENTS
from nnunet_sparse.training.schedules import SCHEDULES

AUGMENTATIONS = ("bias_field", "elastic", "affine", "flip")
# in words for tables; names are those of the terms, joined by "_"
LOSSES = {"ce": "cross entropy", "dice_ce": "soft Dice + CE", "dice_focal": "soft Dice + focal"}
# in words for tables
OPTIMIZERS = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD"}
DECIDED_BY_RECIPE = (
    "num_epochs",
    "optimizer",
    "initial_lr",
    "weight_decay",
    "oversample_foreground_percent",
    "placement",
    "slice_sampling",
    "dice_smooth",
)
"""Settings of the plans in whose place a recipe has its own."""

# roles of a group of voxels from which patch centres are drawn together
JOINT = "+"


def _are_numbers(values: Mapping[str, Any]) -> bool:
    return all(
        isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < math.inf
        for v in values.values()
    )


def _are_weights(value: Mapping[str, Any]) -> bool:
    known = set(ROLES) - {"unannotated"}
    return set(value) <= known and _are_numbers(value)


def _are_shares(value: Mapping[str, Any]) -> bool:
    if not value:
        return True
    groups = [tuple(group.split(JOINT)) for group in value]
    named = [role for group in groups for role in group]
    return (
        set(named) <= set(ROLES)
        and len(set(named)) == len(named)
        and _are_numbers(value)
        and sum(value.values()) > 0
    )


def _are_roles(value: Mapping[str, Any]) -> bool:
    return set(value) <= {"target", "context"} and all(
        isinstance(labels, list | tuple | str | int) and not isinstance(labels, bool)
        for labels in value.values()
    )


_CLASS_WEIGHTS = {
    "rule": mapping(
        "a mapping from roles (background, context, target; not from labels) to weights of at "
        "least 0",
        _are_weights,
    )
}
_PATCH_CENTRES = {
    "rule": mapping(
        f"a mapping from roles ({', '.join(ROLES)}; several joined by {JOINT!r}), each named at "
        "most once, to shares of at least 0, not all of them 0",
        _are_shares,
    )
}
_NETWORK = {"rule": mapping("a mapping from options to values")}
_ROLES = {"rule": mapping("a mapping from target and context to lists of labels", _are_roles)}


@dataclass(frozen=True)
class Recipe:
    """How a network of the paper is trained; batch size, patch size and spacing are the plans'.

    Classes are named by their role in the task (:mod:`nnunet_sparse.training.roles`), so that a
    recipe does not depend on a data set's labels.

    Attributes
    ----------
    iterations
        Length of the training in batches. nnU-Net's epochs have ``num_iterations_per_epoch`` of
        them (a setting of the plans); the last one is shorter where they do not divide.
    loss
        ``ce``, ``dice_ce`` or ``dice_focal`` (:mod:`nnunet_sparse.training.losses`).
    class_weights
        Weights of the cross entropy by role; roles that are not named have 1.
    dice_smooth
        Voxels added to both parts of the Dice's fraction.
    focal_gamma
        Exponent of the focal loss.
    optimizer
        ``adamw``, ``adam``, or ``sgd`` with ``momentum``.
    initial_lr, weight_decay, momentum
        Of the optimizer; the weight decay is decoupled from the gradient under ``adamw`` only.
        ``adam`` and ``sgd`` have torch's form of it: the weights, times the weight decay, are added
        to the gradient.
    schedule
        ``constant``, ``poly``, ``step`` or ``cosine`` (:mod:`nnunet_sparse.training.schedules`),
        per iteration.
    power, factor, period
        Exponent of ``poly``; factor and period in iterations of ``step``.
    augmentation
        Some of ``bias_field``, ``elastic``, ``affine``, ``flip``, after TorchIO's transforms of
        these names with their default ranges (:mod:`nnunet_sparse.training.recipe_augmentation`).
    patch_centres
        3d: how often a patch is drawn for a voxel of a role, as shares of all patches. Roles joined
        by ``+`` are one group (:mod:`nnunet_sparse.trainers.role_loader`). Groups that no case has
        are left out.
        Empty: patches are drawn uniformly from the volumes. 2d draws uniformly from the annotated
        slices.
    placement
        3d: where the patch lies around its voxel (:mod:`nnunet_sparse.training.sampling`).
    pretrained
        Whether the encoder starts from published weights, for networks that have such
        (:mod:`nnunet_sparse.training.pretrained`).
    network
        Options of the architecture that differ from the published ones.
    roles
        Labels (names or values) of the target and of its context, in place of those that the data
        set declares.

    Raises
    ------
    SparseError
        If a value has the wrong type or is out of range.
    """

    iterations: int = setting(15000, whole(1))
    loss: str = setting("ce", choice(*LOSSES))
    class_weights: dict[str, float] = field(default_factory=dict, metadata=_CLASS_WEIGHTS)
    dice_smooth: float = setting(1e-5, positive())
    focal_gamma: float = setting(2.0, not_negative())
    optimizer: str = setting("adamw", choice(*OPTIMIZERS))
    initial_lr: float = setting(1e-4, positive())
    weight_decay: float = setting(1e-5, share())
    momentum: float = setting(0.9, share())
    schedule: str = setting("constant", choice(*SCHEDULES))
    power: float = setting(0.8, positive())
    factor: float = setting(0.7, share())
    period: int = setting(2000, whole(1))
    augmentation: tuple[str, ...] = setting(("flip",), subset(*AUGMENTATIONS))
    patch_centres: dict[str, float] = field(default_factory=dict, metadata=_PATCH_CENTRES)
    placement: str = setting("centre_inside", choice(*PLACEMENTS))
    pretrained: bool = setting(False, switch())
    network: dict[str, Any] = field(default_factory=dict, metadata=_NETWORK)
    roles: dict[str, Any] = field(default_factory=dict, metadata=_ROLES)

    def __post_init__(self) -> None:
        check_fields(self)

    def replaced(self, changes: Mapping[str, Any]) -> "Recipe":
        """Copy of the recipe with some of its values changed.

        Raises
        ------
        SparseError
            If a key is unknown or a value is bad.
        """
        for key, value in changes.items():
            check_value(f"setting recipe.{key}", value, recipe_rule(key))
        return Recipe(**(self.to_dict() | dict(changes)))

    def to_dict(self) -> dict[str, Any]:
        """All values by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


RECIPE_RULES = rules_of(Recipe)


def recipe_rule(key: str) -> Rule:
    """Rule of a value of recipes.

    Raises
    ------
    SparseError
        If there is no such value.
    """
    outer, dot, _ = key.partition(".")
    if dot and outer in RECIPE_RULES:
        raise SparseError(
            f"recipe.{key}: what is inside of recipe.{outer} is written as JSON, as in "
            f"'recipe.{outer}={{...}}'"
        )
    return find_rule(RECIPE_RULES, key, "recipe.")
