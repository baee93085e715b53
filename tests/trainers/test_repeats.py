import json
import shutil

import pytest
from nnunetv2.evaluation.find_best_configuration import find_best_configuration
from training_fixtures import CASES, TINY, use_threads

from nnunet_sparse.data.preprocessing_record import FILE, StepRecord
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.trainers.repeats import (
    check_preprocessed,
    check_previous_stage,
    check_repeat,
    missing_message,
    preprocessed_cases,
    split_existing,
)


@pytest.fixture
def splits(tmp_path):
    file = tmp_path / "splits_final.json"
    file.write_text(json.dumps([{"train": ["a"], "val": ["b"]}] * 3))
    return file


@pytest.mark.parametrize("fold", [0, 2])
def test_repeats_of_the_file(splits, fold):
    check_repeat(fold, splits)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (3, r"there is no repeat \(fold\) 3; repeats are 0 to 2 in .*splits_final.json"),
        (-1, "no repeat"),
        ("all", "would also train on the validation cases; repeats are 0 to 2"),
    ],
)
def test_other_repeats(splits, fold, message):
    with pytest.raises(SparseError, match=message):
        check_repeat(fold, splits)


def test_without_a_file_there_are_the_folds_that_nnunet_makes(tmp_path):
    check_repeat(4, tmp_path / "splits_final.json")
    with pytest.raises(SparseError, match=r"repeats are 0 to 4$"):
        check_repeat(5, tmp_path / "splits_final.json")


def test_unfinished_preprocessing_is_refused(tmp_path):
    data = tmp_path / "Dataset777_Tiny" / "plans_2d"
    data.mkdir(parents=True)
    check_preprocessed(data)  # stock nnU-Net's data have no record
    record = StepRecord(data.parent)
    record.start("preprocessed/plans_2d")
    with pytest.raises(SparseError, match="was not finished: run nnsparse_plan_and_preprocess"):
        check_preprocessed(data)
    record.finish("preprocessed/plans_2d", "digest")
    check_preprocessed(data)


@pytest.mark.parametrize("text", ["null", "[1]", "{"])
def test_a_damaged_record_is_an_empty_one(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    assert StepRecord(tmp_path).names("plans") == set()


def test_complete_cases_have_properties(tmp_path):
    for name in ("a.b2nd", "a_seg.b2nd", "a.pkl", "b.b2nd", "c.npz", "c.pkl", "d.b2nd", "d.pkl"):
        (tmp_path / name).touch()
    for name in ("e_seg.b2nd", "e.pkl"):
        (tmp_path / name).touch()
    (tmp_path / "e.b2nd").symlink_to(tmp_path / "removed.b2nd")
    assert preprocessed_cases(tmp_path) == {"a", "c"}


def test_split_keeps_its_order():
    assert split_existing(["c", "a", "b"], {"a", "c"}) == (["c", "a"], ["b"])


def test_long_lists_are_cut():
    message = missing_message("training", ["x"], [f"m{i}" for i in range(12)])
    assert message.startswith("12 of 13 training cases are not preprocessed")
    assert message.endswith("m9, ...")


def test_a_cascade_needs_predictions_of_its_training_cases(tmp_path):
    (tmp_path / "a.1.b2nd").touch()
    check_previous_stage(["a.1"], tmp_path, 0)
    with pytest.raises(SparseError, match="1 of 2 training cases of repeat 2 have no prediction"):
        check_previous_stage(["a.1", "b"], tmp_path, 2)
    with pytest.raises(SparseError, match="1 of 1"):
        check_previous_stage(["a.1"], tmp_path / "missing", 0)


def test_nnunet_compares_configurations_by_one_repeat(trainable, monkeypatch):
    """Repeats share their validation cases, which nnU-Net refuses to merge."""
    use_threads(monkeypatch)
    plans = "nnsparseSmallPlans"
    folder = trainable.results / TINY / f"SparseTrainer__{plans}__2d"
    for repeat in (0, 1):
        (folder / f"fold_{repeat}" / "validation").mkdir(parents=True)
        for case in CASES[6:]:
            label = trainable.raw / TINY / "labelsTr" / f"{case}.nii.gz"
            shutil.copy(label, folder / f"fold_{repeat}" / "validation")
    preprocessed = trainable.preprocessed / TINY
    shutil.copy(preprocessed / "dataset.json", folder)
    shutil.copy(preprocessed / f"{plans}.json", folder / "plans.json")
    models = ({"plans": plans, "configuration": "2d", "trainer": "SparseTrainer"},)
    found = find_best_configuration(TINY, models, num_processes=1, folds=(0,))
    assert found["all_results"] == {folder.name: 1.0}
    instructions = (trainable.results / TINY / "inference_instructions.txt").read_text("utf-8")
    assert f"nnUNetv2_predict -d {TINY} -i INPUT_FOLDER -o OUTPUT_FOLDER -f  0" in instructions
    with pytest.raises(RuntimeError, match="More than one of your folds has a prediction for case"):
        find_best_configuration(TINY, models, num_processes=1, folds=(0, 1))
