"""A round of a campaign: slices that were asked for at one time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.json_form import COUNT, OBJECT, SWITCH, TEXT, Keys, ListOf, NamesTo, or_none

ROUND_FORM = Keys(
    {
        "variant": OBJECT,
        "slices": NamesTo(ListOf(COUNT), check_file_name),
        "parameters": OBJECT,
        "features": or_none(TEXT),
        "complete": SWITCH,
    },
    {"network": or_none(OBJECT), "prefilled": SWITCH},
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
    """

    variant: Variant
    slices: Mapping[str, tuple[int, ...]]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    features: str | None = None
    complete: bool = False
    network: Mapping[str, Any] | None = None
    is_prefilled: bool = False

    def to_json(self) -> dict[str, Any]:
        """Part of ``campaign.json``."""
        of_network = {"network": self.network, "prefilled": self.is_prefilled}
        return {
            "variant": self.variant.to_json(),
            "slices": {case_id: list(slices) for case_id, slices in self.slices.items()},
            "parameters": dict(self.parameters),
            "features": self.features,
            "complete": self.complete,
            **({} if self.network is None else of_network),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Round":
        """Inverse of :meth:`to_json`."""
        return cls(
            Variant.from_json(content["variant"]),
            {case_id: tuple(slices) for case_id, slices in content["slices"].items()},
            content["parameters"],
            content["features"],
            content["complete"],
            content.get("network"),
            content.get("prefilled", False),
        )
