"""Training settings: the ``"nnsparse"`` block of a configuration in a plans file.

The fields of :class:`TrainingSettings` are the schema. A block names every setting, so that plans
mean the same when a default changes; what it does not name has its default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import (
    Assignments,
    Rule,
    check_fields,
    check_value,
    choice,
    find_rule,
    mapping,
    positive,
    rules_of,
    setting,
    share,
    whole,
)
from nnunet_sparse.training.recipe import recipe_rule
from nnunet_sparse.training.sampling import PLACEMENTS

BLOCK = "nnsparse"


_RECIPE = {"rule": mapping("a mapping from keys of the recipe to values")}


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    The length of the training and its optimizer are nnU-Net's by default. The settings from
    ``placement`` to ``dice_smooth`` say how sparse annotation is used, and matter only where the
    data set has an ignore label; which of them are on by default was decided by experiment
    (docs/results.md).

    Attributes
    ----------
    num_epochs
        Length of the training.
    num_iterations_per_epoch
        Training batches per epoch.
    num_val_iterations_per_epoch
        Batches of the validation after each epoch.
    optimizer
        ``sgd`` with nnU-Net's Nesterov momentum of 0.99, or ``adamw``.
    initial_lr
        Learning rate of the first epoch; it falls to 0 polynomially.
    weight_decay
        Weight decay of the optimizer (decoupled from the gradient under ``adamw``).
    oversample_foreground_percent
        Share of a batch that must show foreground.
    save_every
        Epochs between two writings of ``checkpoint_latest``.
    placement
        Where a patch lies around the annotated voxel that it was drawn for: ``centre`` (nnU-Net),
        ``centre_inside`` the image, ``inside`` it anywhere, or ``anywhere``
        (:mod:`nnunet_sparse.training.sampling`).
    padding
        What voxels outside the image are trained as: ``background`` (nnU-Net) or ``ignore``.
    targets
        Targets of deep supervision: ``nearest`` (nnU-Net) or ``annotated``
        (:mod:`nnunet_sparse.training.targets`).
    label_interpolation
        How labels are rotated and scaled: ``joint`` with the ignore label (nnU-Net) or
        ``annotated_first`` (:mod:`nnunet_sparse.training.augmentation`).
    slice_sampling
        How slices are drawn in 2d: ``case`` draws a case, then a voxel of it (nnU-Net);
        ``uniform`` draws from the annotated slices of all cases.
    dice_smooth
        Number of voxels added to both parts of the Dice loss's fraction (nnU-Net: 1e-5). The more,
        the less count samples in which a class has few annotated voxels.
    augmentation_on
        Where patches are augmented: by the ``workers`` that load them (nnU-Net), or on the
        ``device`` of the training, batch by batch.
    recipe
        What trainers with a recipe change of it (:mod:`nnunet_sparse.training.recipe`); others do
        not read it.

    Raises
    ------
    SparseError
        If a value has the wrong type or is out of range.
    """

    num_epochs: int = setting(1000, whole(1))
    num_iterations_per_epoch: int = setting(250, whole(1))
    num_val_iterations_per_epoch: int = setting(50, whole(1))
    optimizer: str = setting("sgd", choice("sgd", "adamw"))
    initial_lr: float = setting(1e-2, positive())
    weight_decay: float = setting(3e-5, share())
    oversample_foreground_percent: float = setting(0.33, share())
    save_every: int = setting(50, whole(1))
    placement: str = setting("inside", choice(*PLACEMENTS))
    padding: str = setting("background", choice("background", "ignore"))
    targets: str = setting("annotated", choice("nearest", "annotated"))
    label_interpolation: str = setting("annotated_first", choice("joint", "annotated_first"))
    slice_sampling: str = setting("uniform", choice("case", "uniform"))
    dice_smooth: float = setting(1e-5, positive())
    augmentation_on: str = setting("workers", choice("workers", "device"))
    recipe: dict[str, Any] = field(default_factory=dict, metadata=_RECIPE)

    def __post_init__(self) -> None:
        check_fields(self)
        for key, value in self.recipe.items():
            self.recipe[key] = check_value(f"setting recipe.{key}", value, recipe_rule(key))

    @classmethod
    def from_block(cls, block: Mapping[str, Any]) -> "TrainingSettings":
        """Settings of a plans file's block; what the block does not name has its default.

        Raises
        ------
        SparseError
            If the block is no mapping, or holds an unknown key or a bad value.
        """
        if not isinstance(block, Mapping):
            raise SparseError(f"the {BLOCK} block must map settings to values, got {block!r}")
        return cls().replaced(block)

    def replaced(self, changes: Mapping[str, Any]) -> "TrainingSettings":
        """These settings with some of them changed.

        Raises
        ------
        SparseError
            If a key is unknown or a value is bad.
        """
        for key in changes:
            find_rule(rules_of(self), key)
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        recipe = self.recipe | dict(changes.get("recipe", {}))
        return TrainingSettings(**(values | dict(changes) | {"recipe": recipe}))

    @property
    def samples_as_stock(self) -> bool:
        """Whether batches are drawn and augmented entirely as nnU-Net does."""
        return all(
            getattr(self, key) == value for key, value in STOCK.items() if key != "dice_smooth"
        )

    def to_block(self) -> dict[str, Any]:
        """All settings by name; :meth:`from_block` undoes it.

        An empty recipe and where patches are augmented by default are left out.
        """
        block = {item.name: getattr(self, item.name) for item in fields(self)}
        if not block["recipe"]:
            del block["recipe"]
        if block["augmentation_on"] == "workers":
            del block["augmentation_on"]
        return block


# nnU-Net's own way with sparse annotation
STOCK = {
    "placement": "centre",
    "padding": "background",
    "targets": "nearest",
    "label_interpolation": "joint",
    "slice_sampling": "case",
    "dice_smooth": 1e-5,
}


def parse_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Settings of command-line arguments like ``num_epochs=100`` and ``recipe.iterations=2000``.

    Values that are lists or mappings are written as JSON.

    Raises
    ------
    SparseError
        If there is no ``=``, a key is unknown, or a value is bad.
    """
    assignments = Assignments(_rule, "a setting is given as key=value (num_epochs=100)")
    settings: dict[str, Any] = {}
    for key, value in assignments.read_once(texts).items():
        outer, dot, inner = key.partition(".")
        if dot:
            settings.setdefault(outer, {})[inner] = value
        else:
            settings[key] = value
    return settings


def _rule(key: str) -> Rule:
    """Rule of a setting, or of a value of the recipe (``recipe.KEY``)."""
    outer, dot, inner = key.partition(".")
    if dot and outer == "recipe":
        return recipe_rule(inner)
    return find_rule(rules_of(TrainingSettings), key)
