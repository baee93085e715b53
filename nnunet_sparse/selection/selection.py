"""Which slices of which volumes are annotated, and the file that says so (``selection.json``)."""

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
    }
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
        The factors that led to the choice.
    axis
        Slice axis of the array as nnU-Net's reader returns it.
    cases
        Selection of every annotated volume, by case ID.
    parameters
        Parameters of the selector.
    features
        Hash of the network whose features the selector used; None if it used none.
    """

    base: str
    variant: Variant
    axis: int
    cases: dict[str, CaseSelection]
    parameters: dict[str, Any] = field(default_factory=dict)
    features: str | None = None

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

    def to_json(self) -> dict[str, Any]:
        """Content of ``selection.json``."""
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
        with explained(lambda error: f"{wrong}: {in_one_line(error)}"):
            variant = Variant.from_json(content["variant"])
        return cls(
            base=content["base"],
            variant=variant,
            axis=content["axis"],
            cases=cases,
            parameters=content["selector"]["parameters"],
            features=content["selector"].get("features"),
        )
