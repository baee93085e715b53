"""Data sets that extend another one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BaseMaker
from sparse_datasets import make_dataset
from tiny import array, made, random_label, read_json, tree, write_volume
from trained_models import dataset_json, plans, write_model

from nnunet_sparse.dataset_tools.extend_dataset import (
    ExtendedDataset,
    extend_dataset,
    open_extendable,
)
from nnunet_sparse.dataset_tools.interpolate import interpolate_dataset
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.selection.ask_network import AskedNetwork
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import first_selector_names, selector_class, selector_names
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

ASKING = [name for name in selector_names() if selector_class(name).asks_network()]


def extend(paths: NnUNetPaths, source: str, model: Path | None = None, **options: Any) -> Any:
    """Extend a data set; factors of the variant are among the options."""
    names = Variant.__dataclass_fields__.keys()
    factors = {name: options.pop(name) for name in names & options.keys()}
    asked = None if model is None else AskedNetwork(TrainedNetwork.open(model), "cpu")
    return extend_dataset(
        paths, open_extendable(paths, source), Variant(**factors), asked, device="cpu", **options
    )


def slices(selection: Selection) -> dict[str, set[int]]:
    return {case_id: set(case.slices) for case_id, case in selection.cases.items()}


def check_labels(paths: NnUNetPaths, result: ExtendedDataset) -> None:
    """Annotated slices are the base's, everything else is ignore."""
    folder = result.folder
    assert folder is not None
    ignore = read_json(folder / "dataset.json")["labels"]["ignore"]
    for case_id, case in result.selection.cases.items():
        name = f"labelsTr/{case_id}.nii.gz"
        dense, sparse = array(paths.raw / result.selection.base / name), array(folder / name)
        expected = np.full(dense.shape, ignore)
        expected[list(case.slices)] = dense[list(case.slices)]
        np.testing.assert_array_equal(sparse, expected)


@pytest.fixture
def model(paths: NnUNetPaths) -> Path:
    """A network of two folds with random weights."""
    return write_model(paths.results, plans(patch=(16, 16)), dataset_json(), folds=(0, 1))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("selector", [*first_selector_names(), *ASKING])
def test_the_old_selection_is_contained(
    paths: NnUNetPaths, make_base: BaseMaker, model: Path, selector: str
) -> None:
    make_base(num_train=6, num_test=1)
    first = make_dataset(paths, "4", slices_per_volume=2, selector="random")
    before = tree(made(first))
    network = model if selector in ASKING else None
    one = extend(paths, "500", network, budget=7, selector=selector)
    two = extend(paths, "501", network, budget=4, selector=selector)
    check_labels(paths, one)
    check_labels(paths, two)
    for smaller, larger, added in (
        (first.selection, one.selection, one.added),
        (one.selection, two.selection, two.added),
    ):
        old, new = slices(smaller), slices(larger)
        assert all(old[case_id] <= new[case_id] for case_id in old)
        assert {c: new[c] - old.get(c, set()) for c in added.slices} == {
            c: set(found) for c, found in added.slices.items()
        }
    assert [r.budget for r in two.selection.rounds] == [7, 4]
    assert two.selection.budget == first.selection.budget + 11
    assert Selection.read(two.folder / "selection.json") == two.selection
    assert tree(made(first)) == before


def test_names_rounds_and_sources(paths: NnUNetPaths, make_base: BaseMaker, model: Path) -> None:
    make_base(num_train=6)
    first = make_dataset(paths, "4", rho=0.2, selector="stratified")
    one = extend(paths, "500", model, budget=5, selector="clasp_pe")
    two = extend(paths, "501", rho=0.1, selector="random")
    name = "Tiny_rho0.200_s1.000_stratified_seed0"
    assert made(first).name == f"Dataset500_{name}"
    assert one.folder.name.startswith(f"Dataset501_{name}_r2_n5_clasp_pe_")
    assert two.folder.name.startswith(f"Dataset502_{name}_r3_rho0.100_random_")
    rounds = read_json(two.folder / "selection.json")["rounds"]
    assert [r["source"] for r in rounds] == [name, one.suffix]
    assert [r["selector"]["name"] for r in rounds] == ["clasp_pe", "random"]
    assert rounds[0]["network"]["digest"] == TrainedNetwork.open(model).digest
    assert rounds[0]["network"]["folds"] == [0, 1]
    assert rounds[1]["network"] is None
    sources = read_json(two.folder / "sources.json")["labels"]
    assert sources.keys() == two.selection.cases.keys()


def test_folds_validation_and_test_cases_stay(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base(num_train=8, num_test=2)
    first = make_dataset(paths, "4", budget=2, scope="dataset", selector="first", repeats=2)
    one = extend(paths, "500", budget=30, selector="random", scope="dataset")
    old, new = (read_json(f / "splits_final.json") for f in (made(first), one.folder))
    assert len(old) == len(new) == 2
    assert old[0]["val"] == new[0]["val"]
    assert set(old[0]["train"]) < set(new[0]["train"]) == one.selection.cases.keys()
    for part in ("imagesTs", "labelsTs"):
        assert tree(made(first) / part) == tree(one.folder / part)
    for case_id in old[0]["val"]:
        label = f"labelsTr/{case_id}.nii.gz"
        assert (made(first) / label).read_bytes() == (one.folder / label).read_bytes()


def test_a_cross_validation_keeps_its_folds(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base(num_train=9)
    make_dataset(paths, "4", budget=3, scope="dataset", selector="first", min_per_volume=0, s=0.5)
    first = make_dataset(paths, "4", slices_per_volume=1, s=0.5, num_folds=3)
    one = extend(paths, first.folder.name, budget=12, selector="random", s=1.0)  # type: ignore[union-attr]
    assert one.folder.name.endswith("_folds3")
    old, new = (read_json(f / "splits_final.json") for f in (made(first), one.folder))
    assert all(set(a["val"]) <= set(b["val"]) for a, b in zip(old, new, strict=True))
    assert {c for fold in new for c in fold["val"]} == one.selection.cases.keys()


def test_the_same_again_exists(paths: NnUNetPaths, make_base: BaseMaker, model: Path) -> None:
    make_base(num_train=6)
    make_dataset(paths, "4", rho=0.2)
    choice: dict[str, Any] = {"budget": 5, "selector": "power_bald"}
    one = extend(paths, "500", model, **choice)
    before = tree(paths.raw)
    again = extend(paths, "500", model, **choice, num_processes=2)
    assert (again.folder, again.created) == (one.folder, False)
    assert again.selection == one.selection
    assert tree(paths.raw) == before
    other = extend(paths, "500", model, **choice, seed=1)
    assert other.folder != one.folder
    assert other.selection.rounds[0].slices != one.selection.rounds[0].slices
    with pytest.raises(SparseError, match=r"exists already as .*; leave out --id"):
        extend(paths, "500", model, **choice, dataset_id=600)
    with pytest.raises(SparseError, match="ID 4 is taken by Dataset004_Tiny"):
        extend(paths, "500", model, **choice, seed=2, dataset_id=4)


def test_a_dry_run_writes_no_data_set(
    paths: NnUNetPaths, make_base: BaseMaker, model: Path
) -> None:
    make_base(num_train=6)
    make_dataset(paths, "4", rho=0.2)
    before = tree(paths.raw)
    would = extend(paths, "500", model, budget=5, selector="entropy", dry_run=True)
    assert would.folder is None
    assert tree(paths.raw) == before
    done = extend(paths, "500", model, budget=5, selector="entropy")
    assert done.selection == would.selection


def test_labels_of_other_slices_are_not_read(
    paths: NnUNetPaths, make_base: BaseMaker, model: Path
) -> None:
    base = make_base(num_train=6)
    first = make_dataset(paths, "4", rho=0.3, selector="random")
    before = {n: extend(paths, "500", model, selector=n, budget=6, dry_run=True) for n in ASKING}
    rng = np.random.default_rng(3)
    (made(first) / "sources.json").unlink()  # which would tell that labels have changed
    for case_id, case in first.selection.cases.items():
        file = base / "labelsTr" / f"{case_id}.nii.gz"
        label = array(file)
        shuffled = random_label(rng, label.shape)
        shuffled[list(case.slices)] = label[list(case.slices)]
        write_volume(file, shuffled)
    for name, result in before.items():
        after = extend(paths, "500", model, selector=name, budget=6, dry_run=True)
        assert after.selection == result.selection


def test_labels_that_have_changed_are_refused(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base(num_train=6)
    first = make_dataset(paths, "4", rho=0.3)
    case_id = min(first.selection.cases)
    file = base / "labelsTr" / f"{case_id}.nii.gz"
    write_volume(file, 2 - array(file))
    with pytest.raises(SparseError, match=r"labels of Dataset004_Tiny that .* have changed since"):
        extend(paths, "500", budget=2, selector="random")


def test_interpolating_an_extended_data_set(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base(num_train=6)
    make_dataset(paths, "4", rho=0.2)
    one = extend(paths, "500", rho=0.2, selector="random")
    filled = [
        interpolate_dataset(paths, source, Interpolation("nearest"))
        for source in ("500", one.folder.name)
    ]
    assert filled[0].folder != filled[1].folder
    assert "_mi_nearest_seed0_r2_rho0.200_random_" in filled[1].folder.name
    with pytest.raises(SparseError, match="interpolated already; extend the sparse data set"):
        extend(paths, filled[1].folder.name, budget=2, selector="random")


def test_volumes_of_a_larger_share_are_added(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base(num_train=12)
    first = make_dataset(paths, "4", slices_per_volume=1, s=0.25)
    assert len(first.selection.cases) == 2
    one = extend(paths, "500", slices_per_volume=1, s=0.5, selector="random", seed=9)
    assert first.selection.cases.keys() < one.selection.cases.keys()
    assert len(one.selection.cases) == 5
    assert one.selection.volume_fraction == 0.5


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"budget": 1000, "selector": "random"}, "budget is 1000 slices, .* have "),
        ({"budget": 2, "selector": "entropy"}, "asks a network .*: name it with --model FOLDER"),
    ],
)
def test_what_cannot_be_added(
    paths: NnUNetPaths, make_base: BaseMaker, choice: dict[str, Any], message: str
) -> None:
    make_base(num_train=6)
    make_dataset(paths, "4", rho=0.2)
    before = tree(paths.raw)
    with pytest.raises(SparseError, match=message):
        extend(paths, "500", **choice)
    assert tree(paths.raw) == before


def test_nothing_is_left(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base(num_train=4)
    make_dataset(paths, "4", rho=1.0)
    with pytest.raises(SparseError, match="every slice of these volumes is annotated already"):
        extend(paths, "500", rho=0.1, selector="random")


def test_data_sets_that_cannot_be_extended(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    make_base(num_train=6)
    with pytest.raises(SparseError, match=r"no selection\.json: it was not made by"):
        open_extendable(paths, "4")
    folder = made(make_dataset(paths, "4", rho=0.2))
    content = read_json(folder / "selection.json")
    (folder / "selection.json").write_text(json.dumps(content | {"base": "campaign:hearts"}))
    with pytest.raises(SparseError, match=r"campaign hearts; .* nnsparse_worklist extend"):
        open_extendable(paths, "500")


@pytest.mark.parametrize(
    ("labels", "channels", "message"),
    [
        ({"background": 0, "heart": 1}, ("MR",), "was trained with the labels .*heart"),
        ({"background": 0, "organ": 1, "lesion": 2}, ("CT",), "with the channels CT"),
    ],
)
def test_another_network_is_refused(
    paths: NnUNetPaths,
    make_base: BaseMaker,
    labels: dict[str, int],
    channels: tuple[str, ...],
    message: str,
) -> None:
    make_base(num_train=6)
    make_dataset(paths, "4", rho=0.2)
    model = write_model(paths.results, plans(patch=(16, 16)), dataset_json(labels, channels))
    before = tree(paths.raw.parent)
    with pytest.raises(SparseError, match=message):
        extend(paths, "500", model, budget=3, selector="entropy")
    with pytest.raises(SparseError, match="asks no network: leave out --model"):
        extend(paths, "500", model, budget=3, selector="random")
    with pytest.raises(SparseError, match="bald compares the networks of an ensemble"):
        extend(paths, "500", model, budget=3, selector="bald")
    assert tree(paths.raw.parent) == before
