"""Training settings: the ``"nnsparse"`` block of a configuration in a plans file.

The fields of :class:`TrainingSettings` are the schema. A block names every setting, so that plans
mean the same when a default changes; what it does not name has its default.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nnunet_sparse.errors import SparseError

BLOCK = "nnsparse"


@dataclass(frozen=True)
class _Rule:
    """What one setting may be: its type, a check, and both in words."""

    kind: type
    accepts: Callable[[Any], bool]
    valid: str


def _whole(low: int) -> _Rule:
    return _Rule(int, lambda value: value >= low, f"a whole number of at least {low}")


def _share() -> _Rule:
    return _Rule(float, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def _positive() -> _Rule:
    return _Rule(float, lambda value: 0 < value < math.inf, "a number above 0")


def _choice(*choices: str) -> _Rule:
    return _Rule(str, lambda value: value in choices, f"one of {', '.join(choices)}")


def _setting(default: Any, rule: _Rule) -> Any:
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    The length of the training and its optimizer are nnU-Net's by default. The settings from
    ``placement`` on say how sparse annotation is used, and matter only where the data set has an
    ignore label; which of them are on by default was decided by experiment (docs/results.md).

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
        ``inside`` the image anywhere, or ``anywhere`` (:mod:`nnunet_sparse.sampling`).
    padding
        What voxels outside the image are trained as: ``background`` (nnU-Net) or ``ignore``.
    targets
        Targets of deep supervision: ``nearest`` (nnU-Net) or ``annotated``
        (:mod:`nnunet_sparse.targets`).
    label_interpolation
        How labels are rotated and scaled: ``joint`` with the ignore label (nnU-Net) or
        ``annotated_first`` (:mod:`nnunet_sparse.augmentation`).
    slice_sampling
        How slices are drawn in 2d: ``case`` draws a case, then a voxel of it (nnU-Net);
        ``uniform`` draws from the annotated slices of all cases.
    dice_smooth
        Number of voxels added to both parts of the Dice loss's fraction (nnU-Net: 1e-5). The more,
        the less count samples in which a class has few annotated voxels.

    Raises
    ------
    SparseError
        If a value has the wrong type or is out of range.
    """

    num_epochs: int = _setting(1000, _whole(1))
    num_iterations_per_epoch: int = _setting(250, _whole(1))
    num_val_iterations_per_epoch: int = _setting(50, _whole(1))
    optimizer: str = _setting("sgd", _choice("sgd", "adamw"))
    initial_lr: float = _setting(1e-2, _positive())
    weight_decay: float = _setting(3e-5, _share())
    oversample_foreground_percent: float = _setting(0.33, _share())
    save_every: int = _setting(50, _whole(1))
    placement: str = _setting("inside", _choice("centre", "inside", "anywhere"))
    padding: str = _setting("background", _choice("background", "ignore"))
    targets: str = _setting("annotated", _choice("nearest", "annotated"))
    label_interpolation: str = _setting("annotated_first", _choice("joint", "annotated_first"))
    slice_sampling: str = _setting("uniform", _choice("case", "uniform"))
    dice_smooth: float = _setting(1e-5, _positive())

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _checked(item.name, getattr(self, item.name), item.metadata["rule"])
            object.__setattr__(self, item.name, value)

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
            _rule(key)
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return TrainingSettings(**(values | dict(changes)))

    @property
    def samples_as_stock(self) -> bool:
        """Whether batches are drawn and augmented entirely as nnU-Net does."""
        return all(
            getattr(self, key) == value for key, value in STOCK.items() if key != "dice_smooth"
        )

    def to_block(self) -> dict[str, Any]:
        """All settings by name; :meth:`from_block` undoes it."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


# nnU-Net's own way with sparse annotation
STOCK = {
    "placement": "centre",
    "padding": "background",
    "targets": "nearest",
    "label_interpolation": "joint",
    "slice_sampling": "case",
    "dice_smooth": 1e-5,
}


def parse_assignment(text: str) -> tuple[str, Any]:
    """Key and value of a command-line argument like ``num_epochs=100``.

    Raises
    ------
    SparseError
        If there is no ``=``, the key is unknown, or the value is bad.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise SparseError(f"a setting is given as key=value (num_epochs=100), got {text!r}")
    rule = _rule(key)
    try:
        parsed = rule.kind(value)
    except ValueError:
        raise _bad(key, value, rule) from None
    return key, _checked(key, parsed, rule)


def _rule(key: str) -> _Rule:
    rules: dict[str, _Rule] = {i.name: i.metadata["rule"] for i in fields(TrainingSettings)}
    if key in rules:
        return rules[key]
    close = difflib.get_close_matches(str(key), rules, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise SparseError(f"unknown setting {key!r} ({hint}there are {', '.join(rules)})")


def _checked(key: str, value: Any, rule: _Rule) -> Any:
    """The value in its own type; an int may stand for a float, a bool for nothing else."""
    kinds = (int, float) if rule.kind is float else (rule.kind,)
    if isinstance(value, bool) or not isinstance(value, kinds) or not rule.accepts(value):
        raise _bad(key, value, rule)
    return rule.kind(value)


def _bad(key: str, value: Any, rule: _Rule) -> SparseError:
    return SparseError(f"setting {key} must be {rule.valid}, got {value!r}")
