"""Slices that were added to a selection at one time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_sparse.selection.round_path import asked_of_round
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.json_form import (
    COUNT,
    FILE_NAME,
    OBJECT,
    TEXT,
    Keys,
    ListOf,
    NamesTo,
    or_none,
)

ROUND_FORM = Keys(
    {
        "source": FILE_NAME,
        "variant": OBJECT,
        "selector": Keys({"parameters": OBJECT}, {"features": or_none(TEXT)}),
        "network": or_none(OBJECT),
        "slices": NamesTo(ListOf(COUNT), check_file_name),
    },
    {"teacher": TEXT},
)
"""Form of :meth:`AddedRound.to_json`."""


@dataclass(frozen=True)
class AddedRound:
    """Slices that were added to a selection at one time.

    Attributes
    ----------
    source
        Name of the data set that was extended, without ``DatasetXXX_``.
    variant
        How many slices were added, and how they were chosen.
    slices
        Ascending indices, by case ID; volumes without one are left out.
    parameters
        All parameters of the selector.
    features
        Hash of the network whose features the selector used; None if it used none.
    network
        Trained network that the selector asked, with its hash (``digest``); None if it asked none.
    teacher
        Name of that network in the experiment that has trained it, known before it was; empty if
        none has.
    """

    source: str
    variant: Variant
    slices: Mapping[str, tuple[int, ...]]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    features: str | None = None
    network: Mapping[str, Any] | None = None
    teacher: str = ""

    @property
    def budget(self) -> int:
        """Number of slices that were added."""
        return sum(map(len, self.slices.values()))

    @property
    def decisive(self) -> dict[str, Any]:
        """What was asked for: equal for rounds that add the same slices to the same ones."""
        network = None if self.network is None else self.network.get("digest")
        return asked_of_round(self.variant, self.teacher or network)

    def to_json(self) -> dict[str, Any]:
        """Part of ``selection.json``."""
        return {
            "source": self.source,
            "variant": self.variant.to_json(),
            "selector": {
                "name": self.variant.selector,
                "parameters": dict(self.parameters),
                "features": self.features,
            },
            "network": None if self.network is None else dict(self.network),
            "slices": {case_id: list(slices) for case_id, slices in self.slices.items()},
            **({"teacher": self.teacher} if self.teacher else {}),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "AddedRound":
        """Inverse of :meth:`to_json`."""
        return cls(
            content["source"],
            Variant.from_json(content["variant"]),
            {case_id: tuple(slices) for case_id, slices in content["slices"].items()},
            content["selector"]["parameters"],
            content["selector"].get("features"),
            content["network"],
            content.get("teacher", ""),
        )
