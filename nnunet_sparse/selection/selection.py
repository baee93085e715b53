"""Which slices of which volumes are annotated, and the file that says so (``selection.json``)."""

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nnunet_sparse.selection.added_round import ROUND_FORM, AddedRound
from nnunet_sparse.selection.round_path import extended_suffix
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.foreign_code import explained, in_one_line
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.json_form import (
    AXIS,
    COUNT,
    OBJECT,
    TEXT,
    Keys,
    ListOf,
    NamesTo,
    check_form,
    or_none,
)

CAMPAIGN_PREFIX = "campaign:"
"""What precedes the name of a campaign in ``base`` of a data set imported from one."""

_VERSION = 1
_SOFTWARE = ("nnunet-sparse", "nnunetv2", "numpy")
_CASE = Keys({"num_slices": COUNT, "slices": ListOf(COUNT)})
_FORM = Keys(
    {
        "base": TEXT,
        "variant": OBJECT,
        "axis": AXIS,
        "cases": NamesTo(_CASE, check_file_name),
        "selector": Keys({"parameters": OBJECT}, {"features": or_none(TEXT)}),
    },
    {"rounds": ListOf(ROUND_FORM)},
)


@dataclass(frozen=True)
class CaseSelection:
    """Annotated slices of one volume.

    Attributes
    ----------
    num_slices
        Length of the slice axis.
    slices
        Ascending indices of the annotated slices.
    """

    num_slices: int
    slices: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """Annotated slices of all annotated volumes of a base, and how they were chosen.

    Attributes
    ----------
    base
        Full name of the base data set; of an imported one ``campaign:`` and the campaign's name.
    variant
        The factors that led to the first choice.
    axis
        Slice axis of the array as nnU-Net's reader returns it.
    cases
        Selection of every annotated volume, by case ID, slices of all rounds included.
    parameters
        Parameters of the selector of the first choice.
    features
        Hash of the network whose features the selector used; None if it used none.
    rounds
        What was added to the first choice, oldest first.
    """

    base: str
    variant: Variant
    axis: int
    cases: dict[str, CaseSelection]
    parameters: dict[str, Any] = field(default_factory=dict)
    features: str | None = None
    rounds: tuple[AddedRound, ...] = ()

    @property
    def campaign(self) -> str | None:
        """Campaign that the data set was imported from; None if it has a base."""
        if not self.base.startswith(CAMPAIGN_PREFIX):
            return None
        return self.base.removeprefix(CAMPAIGN_PREFIX)

    @property
    def budget(self) -> int:
        """Total number of annotated slices."""
        return sum(len(case.slices) for case in self.cases.values())

    @property
    def volume_fraction(self) -> float:
        """Share of the training volumes that slices were chosen from, in any round.

        The volumes of a share are among those of a larger one with the seed of the first choice.
        """
        return max(variant.s for variant in (self.variant, *(r.variant for r in self.rounds)))

    def dataset_suffix(self, base_suffix: str) -> str:
        """Name of the data set without ``DatasetXXX_``.

        That of the first choice; where slices were added, which round it is, how many the last one
        added and how, and a hash of what was asked for in all of them.
        """
        suffix = self.variant.dataset_suffix(base_suffix)
        if not self.rounds:
            return suffix
        last = self.rounds[-1]
        asked = [added.decisive for added in self.rounds]
        return extended_suffix(suffix, asked, last.variant, last.teacher)

    def to_json(self) -> dict[str, Any]:
        """Content of ``selection.json``."""
        rounds = {"rounds": [added.to_json() for added in self.rounds]} if self.rounds else {}
        return {
            "version": _VERSION,
            "base": self.base,
            "variant": self.variant.to_json(),
            "axis": self.axis,
            "seed": self.variant.seed,
            "cases": {case_id: asdict(case) for case_id, case in self.cases.items()},
            "selector": {
                "name": self.variant.selector,
                "parameters": self.parameters,
                "features": self.features,
            },
            **rounds,
            "software": {package: version(package) for package in _SOFTWARE},
        }

    @classmethod
    def read(cls, file: Path) -> "Selection":
        """Read ``selection.json``.

        Raises
        ------
        SparseError
            If the file is missing or is not a selection.
        """
        try:
            content = load_json(file)
        except FileNotFoundError as error:
            raise SparseError(f"{file} does not exist") from error
        wrong = f"{file} is not a selection of this version"
        check_form(content, _FORM, wrong)
        check_file_name(content["base"].removeprefix(CAMPAIGN_PREFIX), f"{wrong}: base")
        cases = {
            case_id: CaseSelection(case["num_slices"], tuple(case["slices"]))
            for case_id, case in content["cases"].items()
        }
        try:
            with explained(in_one_line):
                variant = Variant.from_json(content["variant"])
                rounds = tuple(map(AddedRound.from_json, content.get("rounds", ())))
        except SparseError as error:
            raise SparseError(f"{wrong}: {error}") from error
        _check_rounds(rounds, cases, wrong)
        return cls(
            base=content["base"],
            variant=variant,
            axis=content["axis"],
            cases=cases,
            parameters=content["selector"]["parameters"],
            features=content["selector"].get("features"),
            rounds=rounds,
        )


def _check_rounds(
    rounds: tuple[AddedRound, ...], cases: dict[str, CaseSelection], wrong: str
) -> None:
    """Refuse rounds that add a slice twice, or one that is not annotated."""
    left = {case_id: set(case.slices) for case_id, case in cases.items()}
    for added in rounds:
        for case_id, slices in added.slices.items():
            of_case = left.get(case_id, set())
            if len(set(slices)) < len(slices) or not set(slices) <= of_case:
                raise SparseError(f"{wrong}: rounds do not add up to the slices of {case_id}")
            of_case -= set(slices)
