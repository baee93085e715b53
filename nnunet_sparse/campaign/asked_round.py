"""A round of a campaign: slices that were asked for at one time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.json_form import (
    COUNT,
    NUMBER,
    OBJECT,
    SWITCH,
    TEXT,
    Keys,
    ListOf,
    NamesTo,
    Value,
    or_none,
)

Slices = Mapping[str, tuple[int, ...]]
"""Ascending indices, by case ID."""

_SLICES = NamesTo(ListOf(COUNT), check_file_name)
_SHARE = Value(lambda share: NUMBER.accepts(share) and 0 < share <= 1, "a share up to 1")
ROUND_FORM = Keys(
    {
        "variant": OBJECT,
        "slices": _SLICES,
        "parameters": OBJECT,
        "features": or_none(TEXT),
        "complete": SWITCH,
    },
    {
        "network": or_none(OBJECT),
        "prefilled": SWITCH,
        "second_reader": Keys({"share": _SHARE, "slices": _SLICES}),
    },
)


@dataclass(frozen=True)
class Round:
    """Slices that were asked for at one time.

    Attributes
    ----------
    variant
        How they were chosen.
    slices
        Ascending indices, by case ID.
    parameters
        All parameters of the selector.
    features
        Hash of the network whose features the selector used; None if it used none.
    complete
        Whether the slices are in labels, worklist and guide; False where a call was killed before.
    network
        Trained network that was asked, with its hash (``digest``); None if none was.
    is_prefilled
        Whether what it predicts stands in the prefilled labels.
    second_share
        Share of the slices that another annotator is asked for as well; 0 for none.
    second_slices
        These slices, by case ID.
    """

    variant: Variant
    slices: Slices
    parameters: Mapping[str, Any] = field(default_factory=dict)
    features: str | None = None
    complete: bool = False
    network: Mapping[str, Any] | None = None
    is_prefilled: bool = False
    second_share: float = 0.0
    second_slices: Slices = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Part of ``campaign.json``."""
        of_network = {"network": self.network, "prefilled": self.is_prefilled}
        second = {"share": self.second_share, "slices": _listed(self.second_slices)}
        return {
            "variant": self.variant.to_json(),
            "slices": _listed(self.slices),
            "parameters": dict(self.parameters),
            "features": self.features,
            "complete": self.complete,
            **({} if self.network is None else of_network),
            **({"second_reader": second} if self.second_share else {}),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Round":
        """Inverse of :meth:`to_json`."""
        second = content.get("second_reader", {"share": 0.0, "slices": {}})
        return cls(
            Variant.from_json(content["variant"]),
            _as_tuples(content["slices"]),
            content["parameters"],
            content["features"],
            content["complete"],
            content.get("network"),
            content.get("prefilled", False),
            float(second["share"]),
            _as_tuples(second["slices"]),
        )


def _listed(slices: Slices) -> dict[str, list[int]]:
    return {case_id: list(indices) for case_id, indices in slices.items()}


def _as_tuples(slices: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    return {case_id: tuple(indices) for case_id, indices in slices.items()}
