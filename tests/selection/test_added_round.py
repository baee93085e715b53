"""Rounds in selection.json."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_sparse.selection.added_round import AddedRound
from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError

NETWORK = {"digest": "ab" * 8, "folds": [0]}
ROUND = AddedRound(
    "A_rho0.200_s1.000_fixed_seed0",
    Variant(budget=2, selector="clasp_pe", parameters={"rounds": 3}),
    {"x": (1, 4)},
    {"rounds": 3},
    network=NETWORK,
)
SELECTION = Selection("Dataset001_A", Variant(0.2), 0, {"x": CaseSelection(6, (1, 2, 4))}, {})


def write(file: Path, selection: Selection, **changes: Any) -> Path:
    content = json.loads(json.dumps(selection.to_json()))
    content["rounds"][0].update(changes)
    file.write_text(json.dumps(content), "utf-8")
    return file


def test_there_and_back(tmp_path: Path) -> None:
    selection = replace(SELECTION, rounds=(ROUND,))
    assert Selection.read(write(tmp_path / "s.json", selection)) == selection
    assert "rounds" not in SELECTION.to_json()


@pytest.mark.parametrize("slices", [{"x": [1, 3]}, {"x": [1, 1]}, {"y": [1]}])
def test_rounds_that_do_not_add_up_are_refused(tmp_path: Path, slices: dict[str, Any]) -> None:
    file = write(tmp_path / "s.json", replace(SELECTION, rounds=(ROUND,)), slices=slices)
    with pytest.raises(SparseError, match=r"s\.json is not .*: rounds do not add up"):
        Selection.read(file)


@pytest.mark.parametrize(
    "changes", [{"variant": {}}, {"slices": 3}, {"network": "x"}, {"selector": {}}, {"source": 1}]
)
def test_other_forms_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    file = write(tmp_path / "s.json", replace(SELECTION, rounds=(ROUND,)), **changes)
    with pytest.raises(SparseError, match=r"s\.json is not a selection of this version"):
        Selection.read(file)


def test_names_tell_networks_and_rounds_apart() -> None:
    other = replace(ROUND, network={**NETWORK, "digest": "cd" * 8})
    moved = replace(ROUND, network={**NETWORK, "model": "elsewhere"}, slices={"x": (2,)})
    names = [
        replace(SELECTION, rounds=rounds).dataset_suffix("A")
        for rounds in ((), (ROUND,), (other,), (ROUND, ROUND), (moved,))
    ]
    assert names[0] == "A_rho0.200_s1.000_fixed_seed0"
    assert names[1].startswith(f"{names[0]}_r2_n2_clasp_pe_")
    assert names[3].startswith(f"{names[0]}_r3_n2_clasp_pe_")
    assert len(set(names)) == 4
    assert names[4] == names[1]
