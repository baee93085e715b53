from dataclasses import replace
from pathlib import Path

import pytest

from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.errors import SparseError

SELECTION = Selection(
    base="Dataset004_Tiny",
    variant=Variant(0.2, 0.5, "random", positive_weight=3, seed=1),
    axis=2,
    cases={"b": CaseSelection(10, (1, 7)), "a": CaseSelection(5, (0,))},
)


def test_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "selection.json"
    write_json(file, SELECTION.to_json())
    assert Selection.read(file) == SELECTION
    assert SELECTION.budget == 3


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    other = replace(SELECTION, cases=dict(sorted(SELECTION.cases.items())))
    for name, selection in (("a", SELECTION), ("b", other)):
        write_json(tmp_path / name, selection.to_json())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("text", ["", "[]", '{"cases": {}}', '{"cases": {"a": 3}}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "selection.json"
    file.write_text(text)
    with pytest.raises(SparseError, match=r"selection\.json is not (a selection|valid JSON)"):
        Selection.read(file)
    with pytest.raises(SparseError, match="does not exist"):
        Selection.read(tmp_path / "none.json")


def test_names() -> None:
    assert Variant(0.2, 0.125, "fixed").dataset_suffix("Hippocampus") == (
        "Hippocampus_rho0.200_s0.125_fixed_seed0"
    )
    assert SELECTION.variant.dataset_suffix("A") == "A_rho0.200_s0.500_random_pw3_seed1"
    assert Variant(0.2, 1, "fixed", axis=1).dataset_suffix("A") == (
        "A_rho0.200_s1.000_fixed_axis1_seed0"
    )
