"""The labels that a ``dataset.json`` declares, by the rules of nnU-Net.

A class is one label value; a region is the union of several. As soon as one entry lists more than
one value, nnU-Net takes every entry for a region; ``[1]`` alone is the class 1. ``ignore`` is
neither, and has the highest value plus 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

BACKGROUND, IGNORE = "background", "ignore"


class LabelRule(Enum):
    """What nnU-Net demands of the declared labels."""

    VALUE = auto()
    """Every entry is a whole number from 0 on, or a list of some."""
    BACKGROUND = auto()
    """There is a background, and it is 0."""
    IGNORE = auto()
    """The ignore label, if there is one, is the highest label plus 1."""
    ORDER = auto()
    """Regions come with ``regions_class_order``, one label for each."""
    CONSECUTIVE = auto()
    """The values are 0, 1, ... without a gap."""


class LabelError(ValueError):
    """Declared labels that nnU-Net does not take; the message has no file name.

    Attributes
    ----------
    rule
        The first rule that they break.
    """

    def __init__(self, rule: LabelRule, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


@dataclass(frozen=True)
class DeclaredLabels:
    """Labels that nnU-Net takes.

    Attributes
    ----------
    foreground
        Label values of every class or region but the background, by name, as they are declared.
    values
        All label values, ascending from 0; ``ignore`` is left out.
    has_regions
        Whether nnU-Net takes the entries for regions.
    ignore
        Value of voxels that are not annotated; None if none is declared.
    """

    foreground: dict[str, tuple[int, ...]]
    values: tuple[int, ...]
    has_regions: bool
    ignore: int | None


def declared_labels(
    dataset_json: Mapping[str, Any], *, may_have_gaps: bool = False
) -> DeclaredLabels:
    """Read the labels of a data set.

    nnU-Net's ``LabelManager`` reads the same, but needs torch for it, and leaves values without
    gaps to ``nnUNetv2_plan_and_preprocess --verify_dataset_integrity``.

    Parameters
    ----------
    dataset_json
        Content of ``dataset.json``.
    may_have_gaps
        Whether values may be left out between 0 and the highest, as ``LabelManager`` lets them.

    Raises
    ------
    LabelError
        If nnU-Net does not take the labels.
    """
    labels: Mapping[str, Any] = dataset_json["labels"]
    for name, entry in labels.items():
        found = values_of(entry)
        if not found or not all(type(value) is int and value >= 0 for value in found):
            raise LabelError(LabelRule.VALUE, f"{name} must be a whole number, got {entry!r}")
    if labels.get(BACKGROUND) != 0:
        reason = f"background must be 0, got {labels.get(BACKGROUND)!r}"
        raise LabelError(LabelRule.BACKGROUND, reason)
    entries = {name: values_of(entry) for name, entry in without_ignore(labels).items()}
    values = label_values(labels)
    ignore, wanted = ignore_label_of(labels), ignore_label_for(labels)
    if ignore is not None and ignore != wanted:
        raise LabelError(
            LabelRule.IGNORE,
            f"ignore must be the highest label plus 1, that is {wanted}, got {ignore!r}",
        )
    foreground = {name: found for name, found in entries.items() if any(found)}
    has_regions = any(len(found) > 1 for found in entries.values())
    order = dataset_json.get("regions_class_order")
    if has_regions and not (isinstance(order, list) and len(order) == len(foreground)):
        reason = f"regions_class_order must list {len(foreground)} labels, got {order!r}"
        raise LabelError(LabelRule.ORDER, reason)
    if not may_have_gaps and values != list(range(len(values))):
        reason = f"values must be consecutive, 0, 1, ..., got {values}"
        raise LabelError(LabelRule.CONSECUTIVE, reason)
    return DeclaredLabels(foreground, tuple(values), has_regions, ignore)


def ignore_label_of(labels: Mapping[str, Any]) -> int | None:
    """Value of voxels that are not annotated; None if ``labels`` of ``dataset.json`` has none.

    Of a data set that nnU-Net takes it is :func:`ignore_label_for` its labels.
    """
    value: int | None = labels.get(IGNORE)
    return value


def ignore_label_for(labels: Mapping[str, int | list[int]]) -> int:
    """The only value that nnU-Net takes for the ignore label: the highest label plus 1."""
    return label_values(labels)[-1] + 1


def without_ignore(labels: Mapping[str, Any]) -> dict[str, Any]:
    """The classes or regions, the background among them."""
    return {name: entry for name, entry in labels.items() if name != IGNORE}


def values_of(entry: int | list[int]) -> tuple[int, ...]:
    """Values of an entry of ``labels``, which is one value or a list of some."""
    return tuple(entry) if isinstance(entry, list) else (entry,)


def label_values(labels: Mapping[str, int | list[int]]) -> list[int]:
    """All values of ``labels`` in ``dataset.json``, ascending, ``ignore`` left out."""
    declared = (values_of(entry) for entry in without_ignore(labels).values())
    return sorted({value for values in declared for value in values})


def foreground_values(labels: Mapping[str, int | list[int]]) -> dict[str, list[int]]:
    """Values above 0 of each class or region that has any, by its name; ``ignore`` left out."""
    found = {
        name: [value for value in values_of(entry) if value > 0]
        for name, entry in without_ignore(labels).items()
    }
    return {name: values for name, values in found.items() if values}


def label_names(labels: Mapping[str, int | list[int]]) -> dict[int, list[str]]:
    """Names of the classes or regions that each label from 1 on belongs to; ``ignore`` left out.

    Parameters
    ----------
    labels
        ``labels`` of ``dataset.json``.
    """
    names: dict[int, list[str]] = {}
    for name, values in foreground_values(labels).items():
        for value in values:
            names.setdefault(value, []).append(name)
    return dict(sorted(names.items()))
