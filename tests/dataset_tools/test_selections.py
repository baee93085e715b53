"""Budgets, scopes and selectors of sparse data sets."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
from conftest import BaseMaker
from sparse_datasets import make_dataset
from tiny import check_sparse_labels, made, random_label, tree, write_volume

from nnunet_sparse.dataset_tools.make_dataset import SparseDataset
from nnunet_sparse.dataset_tools.make_dataset_command import main
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selectors import (
    first_selector_names,
    get_selector,
    selector_class,
    selector_names,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

CPU = MaeRequest(device="cpu")
ALL = [(name, scope) for name in first_selector_names() for scope in selector_class(name).scopes]


def counts(result: SparseDataset) -> list[int]:
    return [len(case.slices) for case in result.selection.cases.values()]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("selector", "scope"), ALL)
def test_every_selector_and_scope(
    paths: NnUNetPaths, make_base: BaseMaker, selector: str, scope: str
) -> None:
    base = make_base()
    before = tree(base)
    choice: dict[str, Any] = {"rho": 0.3, "selector": selector, "scope": scope, "device": "cpu"}
    result = make_dataset(paths, "4", **choice)
    check_sparse_labels(result, base)
    fixed = make_dataset(paths, "4", rho=0.3, dry_run=True)
    # as many slices as with any other selector; with scope volume the same number per volume
    assert sum(counts(result)) == sum(counts(fixed))
    assert scope == "dataset" or counts(result) == counts(fixed)
    assert set(result.selection.cases) <= set(result.split.train)
    again = make_dataset(paths, "4", **choice, dry_run=True, num_processes=4)
    assert again.selection == result.selection
    assert again.folder == result.folder
    assert Selection.read(made(result) / "selection.json") == result.selection
    assert tree(base) == before


@pytest.mark.usefixtures("short")
def test_labels_do_not_change_what_is_chosen(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base()
    names = [n for n in first_selector_names() if not get_selector(n).looks_at_labels()]
    before = {n: make_dataset(paths, "4", rho=0.3, selector=n, device="cpu") for n in names}
    rng = np.random.default_rng(1)
    for file in (base / "labelsTr").iterdir():
        shape = (10, 6, 5) if int(file.name[3:5]) % 2 == 0 else (7, 6, 5)
        write_volume(file, random_label(rng, shape))
    for name, result in before.items():
        options = {"rho": 0.3, "selector": name, "device": "cpu"}
        with pytest.raises(SparseError, match=r"labels that .* was made from have changed"):
            make_dataset(paths, "4", **options)
        after = make_dataset(paths, "4", **options, dry_run=True, overwrite=True)
        assert after.selection == result.selection, name


def test_slices_per_volume(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    result = make_dataset(paths, "4", slices_per_volume=2, s=0.5)
    assert made(result).name == "Dataset500_Tiny_k2_s0.500_fixed_seed0"
    assert counts(result) == [2] * 4
    full = make_dataset(paths, "4", slices_per_volume=8, dry_run=True)
    assert set(counts(full)) == {7, 8}  # volumes of 7 and 10 slices


@pytest.mark.parametrize("budget", [1, 5, 7, 20, 61])
@pytest.mark.parametrize("scope", ["volume", "dataset"])
@pytest.mark.parametrize("selector", ["fixed", "random", "stratified"])
def test_a_budget_is_spent_to_the_last_slice(
    paths: NnUNetPaths, make_base: BaseMaker, budget: int, scope: str, selector: str
) -> None:
    make_base()
    result = make_dataset(paths, "4", budget=budget, scope=scope, selector=selector)
    assert sum(counts(result)) == budget == result.selection.budget
    if scope == "volume" and budget < 49:  # 7 volumes of at least 7 slices
        assert max(counts(result)) - min(counts(result)) <= 1
    scoped = "_dataset" if scope == "dataset" else ""
    assert made(result).name == f"Dataset500_Tiny_n{budget}_s1.000_{selector}{scoped}_seed0"
    splits = json.loads((made(result) / "splits_final.json").read_text("utf-8"))
    assert splits[0]["train"] == sorted(result.selection.cases)


def test_a_least_number_per_volume(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    choice: dict[str, Any] = {"selector": "first", "scope": "dataset"}
    result = make_dataset(paths, "4", budget=16, min_per_volume=2, **choice)
    assert sorted(counts(result)) == [2] * 5 + [3] * 2
    assert made(result).name == "Dataset500_Tiny_n16_s1.000_first_dataset_min2_seed0"
    with pytest.raises(SparseError, match="takes 14 slices of 7 volumes, the budget is 13"):
        make_dataset(paths, "4", budget=13, min_per_volume=2, **choice)


@pytest.mark.usefixtures("short")
def test_parameters_are_part_of_the_name(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    choice: dict[str, Any] = {"rho": 0.2, "selector": "ual", "device": "cpu"}
    result = make_dataset(paths, "4", **choice, parameters={"clusters": 2, "coverage": 0.9})
    assert made(result).name == "Dataset500_Tiny_rho0.200_s1.000_ual_clusters2_seed0"
    content = json.loads((made(result) / "selection.json").read_text("utf-8"))
    assert content["selector"]["parameters"]["clusters"] == 2
    assert len(content["selector"]["features"]) == 16
    assert content["variant"]["parameters"] == {"clusters": 2}


@pytest.mark.usefixtures("short")
def test_the_network_is_part_of_the_name(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    first = make_dataset(paths, "4", rho=0.2, selector="ual", device="cpu")
    other = make_dataset(paths, "4", rho=0.2, selector="ual", mae_seed=1, device="cpu")
    assert made(other).name == "Dataset501_Tiny_rho0.200_s1.000_ual_mae1_seed0"
    assert other.selection.features != first.selection.features
    # others do not care
    fixed = make_dataset(paths, "4", rho=0.2)
    again = make_dataset(paths, "4", rho=0.2, mae="small", mae_seed=3)
    assert again.folder == fixed.folder
    assert not again.created


@pytest.mark.usefixtures("short")
def test_a_dry_run_does_not_train(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base()
    before = tree(paths.raw.parent)
    with pytest.raises(SparseError, match="run nnsparse_train_mae -d Dataset004_Tiny"):
        make_dataset(paths, "4", rho=0.2, selector="ual", device="cpu", dry_run=True)
    assert tree(paths.raw.parent) == before
    make_dataset(paths, "4", rho=0.2, selector="ual", device="cpu")
    shutil.rmtree(CPU.model(paths, "Dataset004_Tiny", 0).path / "features")
    before = tree(paths.raw.parent)
    make_dataset(paths, "4", rho=0.3, selector="ual", device="cpu", dry_run=True)
    assert tree(paths.raw.parent) == before


def test_the_list_of_selectors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list_selectors"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines] == selector_names()
    assert "Core-set: greedy k-centres in the space of image features [Sener" in out
    assert "entropy [Settles 2009] (with --model of nnsparse_extend and nnsparse_worklist" in out
    assert "--set clusters=3 coverage=0.9 candidates=cluster universe=all" in out


def test_unknown_presets() -> None:
    with pytest.raises(SparseError, match="unknown preset 'huge', choose from tiny, small"):
        MaeRequest("huge")


def test_left_out_volumes_are_told(
    paths: NnUNetPaths, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base()
    assert paths.raw.is_dir()
    assert main(["-d", "4", "--budget", "3", "--scope", "dataset", "-np", "1"]) == 0
    out = capsys.readouterr().out
    assert "budget:     3 of 61 slices" in out
    assert "left out:   4 of the 7 volumes, without a slice" in out


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, "one of rho, slices_per_volume and budget, got 0"),
        ({"rho": 0.1, "budget": 3}, "got 2 of them"),
        ({"budget": 62}, "budget is 62 slices, the 7 volumes that may be annotated have 61"),
        ({"budget": 0}, "budget must be at least 1, got 0"),
        ({"slices_per_volume": 0}, "slices_per_volume must be at least 1"),
        ({"rho": 0.1, "scope": "world"}, "has scope volume or dataset, not 'world'"),
        ({"rho": 0.1, "scope": "dataset", "selector": "single_object"}, "has scope volume, not"),
        ({"rho": 0.1, "min_per_volume": 1}, "min_per_volume works with scope dataset"),
        ({"rho": 0.1, "parameters": {"x": 1}}, "'fixed' has no parameter 'x'"),
        *(
            ({"rho": 0.1, "selector": name}, f"selector {name} asks a network that was trained")
            for name in sorted(set(selector_names()) - set(first_selector_names()))
        ),
        # found before a network is trained
        ({"budget": 62, "selector": "ual"}, "budget is 62 slices"),
        ({"rho": 0.1, "selector": "ual", "dataset_id": 4}, "ID 4 is taken by Dataset004_Tiny"),
        ({"rho": 0.1, "selector": "ual", "device": "x"}, "'x' cannot be used"),
    ],
)
def test_bad_choices(
    paths: NnUNetPaths, make_base: BaseMaker, choice: dict[str, Any], message: str
) -> None:
    make_base()
    before = tree(paths.raw.parent)
    with pytest.raises(SparseError, match=message):
        make_dataset(paths, "4", **choice)
    assert tree(paths.raw.parent) == before
