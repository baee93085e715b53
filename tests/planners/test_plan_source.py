import json
import os
import shutil
import subprocess
import sys

import pytest
from forked_commands import start_forked
from sparse_datasets import make_dataset
from tiny import made, read_json, tree
from training_fixtures import use_threads

from nnunet_sparse.data.split import SplitRequest
from nnunet_sparse.planners import plan_store
from nnunet_sparse.planners.plan_and_preprocess import plan_and_preprocess
from nnunet_sparse.planners.planner_classes import find_planner
from nnunet_sparse.system.errors import SparseError

BASE = "Dataset004_Tiny"
NAME = "nnsparseSmallPlans"
SPLIT = SplitRequest(val=2, test=1)  # leaves 9 of 12 for training


@pytest.fixture
def base(make_base):
    return make_base(num_train=12, shapes=((10, 16, 14), (12, 18, 14)))


def variant(paths, s=1.0, rho=0.2, **options):
    result = make_dataset(paths, "4", rho=rho, s=s, split=SPLIT, **options)
    return made(result).name


def plan(paths, name, **options):
    options = {"planner": "SmallPlanner", "configurations": ["2d"], "num_processes": 1} | options
    return plan_and_preprocess(paths, name, **options)


def apart_from_the_name(file):
    return read_json(file) | {"dataset_name": None}


@pytest.fixture
def calls(monkeypatch):
    names = []
    for name in ("_measured", "_planned"):
        original = getattr(plan_store, name)

        def logged(*args, original=original, name=name):
            names.append(name)
            return original(*args)

        monkeypatch.setattr(plan_store, name, logged)
    return names


@pytest.mark.slow
def test_all_variants_have_the_plans_of_their_base(paths, base, calls):
    kept = tree(base)
    names = [variant(paths), variant(paths, s=0.125), variant(paths, rho=0.5, selector="random")]
    files = [plan(paths, name, planner="SparsePlanner") for name in names]
    assert calls == ["_measured", "_planned"]
    first, *others = map(apart_from_the_name, files)
    assert others == [first, first]
    assert [read_json(file)["dataset_name"] for file in files] == names
    assert first["nnsparse"]["fingerprint"] == {"data_set": BASE, "cases": 9, "labels": "dense"}
    fingerprints = [file.with_name("dataset_fingerprint.json").read_bytes() for file in files]
    assert fingerprints[0] == fingerprints[1] == fingerprints[2]
    assert len(json.loads(fingerprints[0])["spacings"]) == 9
    for name, file in zip(names, files, strict=True):
        raw = paths.raw / name
        for document in ("dataset.json", "splits_final.json"):
            assert read_json(file.with_name(document)) == read_json(raw / document)
        labels = {label.name for label in (raw / "labelsTr").iterdir()}
        assert {f.name for f in file.with_name("gt_segmentations").iterdir()} == labels
    assert tree(base) == kept
    folder = paths.preprocessed / BASE
    assert {path.name for path in folder.iterdir()} == {"nnsparse", "nnsparse_split.json"}


@pytest.mark.slow
def test_stock_plans_depend_on_the_number_of_volumes(paths, base, monkeypatch):  # noqa: ARG001
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import (
        DatasetFingerprintExtractor,
    )

    use_threads(monkeypatch)
    batches: dict[str, list[int]] = {"stock": [], "own": [], "base": []}
    for name in (variant(paths), variant(paths, s=0.125)):
        for plans_from in ("base", "own"):
            chosen = "own" if plans_from == "own" else None
            file = plan(paths, name, planner="SparsePlanner", plans_from=chosen, overwrite=True)
            batches[plans_from].append(read_json(file)["configurations"]["2d"]["batch_size"])
        extractor = DatasetFingerprintExtractor(name, 1)
        extractor.num_foreground_voxels_for_intensitystats = 1e5
        extractor.run(overwrite_existing=True)
        plans = find_planner("ExperimentPlanner")(name).plan_experiment()
        batches["stock"].append(plans["configurations"]["2d"]["batch_size"])
    assert batches["stock"][0] > batches["stock"][1]
    assert batches["own"][0] > batches["own"][1]
    assert batches["base"][0] == batches["base"][1]


@pytest.mark.slow
def test_settings_and_names_are_the_variants_own(paths, base, calls):  # noqa: ARG001
    name = variant(paths)
    first = plan(paths, name)
    second = plan(paths, name, plans_name="long", settings={"num_epochs": 99})
    assert calls == ["_measured", "_planned"]
    one, other = read_json(first), read_json(second)
    assert other["plans_name"] == "long"
    assert other["configurations"]["2d"]["nnsparse"]["num_epochs"] == 99
    identifiers = {p["configurations"]["2d"]["data_identifier"] for p in (one, other)}
    assert identifiers == {f"{NAME}_2d"}


@pytest.mark.slow
def test_a_user_s_files_stay(paths, base, caplog):  # noqa: ARG001
    name = variant(paths)
    for folder in (paths.preprocessed / BASE, paths.preprocessed / name):
        folder.mkdir(exist_ok=True)
        (folder / "dataset_fingerprint.json").write_text('{"mine": 1}')
        (folder / f"{NAME}.json").write_text('{"mine": 1}')
    with pytest.raises(SparseError, match="holds other plans"):
        plan(paths, name)
    plan(paths, name, plans_name="b")
    assert read_json(paths.preprocessed / name / "dataset_fingerprint.json") == {"mine": 1}
    assert "of other origin than the plans and stays as it is" in caplog.text
    plan(paths, name, plans_name="c", overwrite=True)
    assert "spacings" in read_json(paths.preprocessed / name / "dataset_fingerprint.json")
    for file in ("dataset_fingerprint.json", f"{NAME}.json"):
        assert read_json(paths.preprocessed / BASE / file) == {"mine": 1}


@pytest.mark.slow
def test_a_failure_between_two_steps_is_continued(paths, base, monkeypatch, calls):  # noqa: ARG001
    name = variant(paths)
    with monkeypatch.context() as broken:
        broken.setattr(plan_store, "find_planner", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            plan(paths, name)
    plan(paths, name)
    assert calls == ["_measured", "_planned", "_planned"]
    assert not list((paths.preprocessed / BASE).rglob(".nnsparse*"))


@pytest.mark.slow
def test_two_variants_at_once(paths, base):  # noqa: ARG001
    names = [variant(paths), variant(paths, s=0.5)]
    options = ["-pl", "SmallPlanner", "-c", "2d", "-np", "1"]
    running = [start_forked("nnsparse_plan_and_preprocess", "-d", n, *options) for n in names]
    messages = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], messages
    assert "".join(messages).count("fingerprint: measuring 9 cases") == 1
    assert "".join(messages).count("plans: SmallPlanner plans for 9 cases") == 1
    one, other = (apart_from_the_name(paths.preprocessed / name / f"{NAME}.json") for name in names)
    assert one == other
    assert not list(paths.preprocessed.rglob("*.lock"))


@pytest.mark.slow
def test_other_images_of_the_base_are_noticed(paths, base, calls):
    name = variant(paths)
    before = plan(paths, name).read_bytes()
    split = read_json(paths.preprocessed / BASE / "nnsparse_split.json")
    image = base / "imagesTr" / f"{split['test'][0]}_0000.nii.gz"
    os.utime(image, (1, 1))
    plan(paths, name)
    assert calls == ["_measured", "_planned"]
    os.utime(base / "imagesTr" / f"{split['train'][0]}_0000.nii.gz", (1, 1))
    assert plan(paths, name).read_bytes() == before
    assert calls == ["_measured", "_planned"] * 2


@pytest.mark.slow
def test_plans_from_another_data_set(paths, base):
    first, second = variant(paths), variant(paths, s=0.5)
    other = plan(paths, first, plans_from="own", plans_name="mine", settings={"num_epochs": 3})
    content = read_json(other)
    content["configurations"]["mine"] = {"inherits_from": "2d", "batch_size": 7}
    other.write_text(json.dumps(content))
    file = plan(paths, second, plans_from=first, plans_name="mine", configurations=["mine"])
    assert apart_from_the_name(file) == apart_from_the_name(other)
    assert read_json(file)["nnsparse"]["fingerprint"]["data_set"] == first
    assert (
        file.with_name("dataset_fingerprint.json").read_bytes()
        == other.with_name("dataset_fingerprint.json").read_bytes()
    )
    # a data set that is no variant, with stock plans
    content.pop("nnsparse")
    other.write_text(json.dumps(content))
    file = plan(paths, base.name, plans_from=first, plans_name="mine")
    assert read_json(file)["nnsparse"]["fingerprint"]["labels"] == "unknown"
    _refused_plans(paths, first, second)


def _refused_plans(paths, first, second):
    folder = paths.preprocessed / first
    for options, message in (
        ({"plans_from": "77"}, "--plans_from 77: there is no such data set"),
        ({"plans_from": first, "plans_name": "no"}, r"holds no plans; .* -p \(there: mine\)"),
    ):
        with pytest.raises(SparseError, match=message):
            plan(paths, second, **options)
    for key, value, message in (
        ("channel_names", {"0": "CT"}, r"are for the channels CT, .* has MR"),
        ("labels", {"background": 0, "organ": 1}, r"are for the labels .* has .*'lesion': 2"),
    ):
        declared = (folder / "dataset.json").read_text("utf-8")
        (folder / "dataset.json").write_text(json.dumps(json.loads(declared) | {key: value}))
        with pytest.raises(SparseError, match=message):
            plan(paths, second, plans_from=first, plans_name="mine")
        (folder / "dataset.json").write_text(declared)
    (folder / "dataset_fingerprint.json").unlink()
    with pytest.raises(SparseError, match=r"dataset_fingerprint.json is missing or damaged"):
        plan(paths, second, plans_from=first, plans_name="mine")


@pytest.mark.slow
def test_without_labels_of_its_base_a_variant_plans_for_itself(paths, base, caplog):
    name = variant(paths)
    for label in (paths.raw / name / "labelsTr").iterdir():
        content = label.read_bytes()  # some are links into the base
        label.unlink()
        label.write_bytes(content)
    shutil.copytree(base, base.with_name("images"))
    file = paths.raw / name / "dataset.json"
    file.write_text(file.read_text("utf-8").replace(BASE, "images"))
    shutil.rmtree(base / "labelsTr")
    caplog.set_level("INFO")
    fingerprint = read_json(plan(paths, name))["nnsparse"]["fingerprint"]
    # the validation cases, whose labels are dense, are not measured
    assert fingerprint == {"data_set": name, "cases": 9, "labels": "annotated"}
    assert f"no labels of {BASE} in" in caplog.text
    shutil.rmtree(base)
    caplog.clear()
    plan(paths, name)
    assert f"no labels of {BASE} in" in caplog.text


def test_a_base_that_has_lost_a_file_is_refused(paths, base):
    name = variant(paths, s=0.125)
    (annotated,) = read_json(paths.raw / name / "selection.json")["cases"]
    train = read_json(paths.preprocessed / BASE / "nnsparse_split.json")["train"]
    other = next(case for case in train if case != annotated)
    image = base / "imagesTr" / f"{other}_0000.nii.gz"
    content = image.read_bytes()
    image.write_bytes(content[:-50])
    with pytest.raises(SparseError, match=f"{other}_0000.nii.gz is damaged"):
        plan(paths, name)
    image.unlink()
    with pytest.raises(SparseError, match=f"{BASE} has no case {other}"):
        plan(paths, name)


def test_a_base_without_its_split_is_refused(paths, base):  # noqa: ARG001
    name = variant(paths)
    (paths.preprocessed / BASE / "nnsparse_split.json").unlink()
    with pytest.raises(SparseError, match=r"nnsparse_split.json is missing.*--plans_from own"):
        plan(paths, name)


def test_a_further_variant_needs_no_torch():
    modules = (
        "plan_and_preprocess",
        "preprocessing",
        "plan_source",
        "planner_classes",
        "planning_input",
    )
    imports = "\n".join(f"import nnunet_sparse.planners.{module}" for module in modules)
    code = f"import sys\n{imports}\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
