import json
import shutil

import pytest
import SimpleITK as sitk
from training_fixtures import SHORT, SLICE_AXIS, TINY

from nnunet_sparse.data.preprocessing_record import StepRecord
from nnunet_sparse.planners import plan_store
from nnunet_sparse.planners.plan_and_preprocess import main, plan_and_preprocess
from nnunet_sparse.planners.sparse_preprocessor import SparsePreprocessor
from nnunet_sparse.system.errors import SparseError


def run(paths, **options):
    defaults = {"planner": "SmallPlanner", "configurations": ["2d"], "num_processes": 1}
    return plan_and_preprocess(paths, "777", **(defaults | options))


@pytest.fixture
def calls(monkeypatch):
    """Names of the expensive steps that were run."""
    names = []
    for owner, name in (
        (plan_store, "_measured"),
        (plan_store, "_planned"),
        (SparsePreprocessor, "run"),
    ):
        _log_calls(monkeypatch, owner, name, names)
    return names


def _log_calls(monkeypatch, owner, name, names):
    original = getattr(owner, name)

    def logged(*args, **kwargs):
        names.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, logged)


def test_second_call_does_nothing(trainable, calls):
    before = {f: f.stat().st_mtime_ns for f in trainable.preprocessed.rglob("*") if f.is_file()}
    run(trainable, settings=SHORT)
    assert calls == []
    assert before == {f: f.stat().st_mtime_ns for f in before}


def test_everything_that_training_needs(trainable):
    folder = trainable.preprocessed / TINY
    raw = trainable.raw / TINY
    assert json.loads((folder / "splits_final.json").read_text("utf-8"))[2]["val"] == [
        "case_6",
        "case_7",
    ]
    for label in (raw / "labelsTr").iterdir():
        assert (folder / "gt_segmentations" / label.name).read_bytes() == label.read_bytes()
    plans = json.loads((folder / "nnsparseSmallPlans.json").read_text("utf-8"))
    plan = plans["configurations"]["2d"]
    assert plans["transpose_forward"] == [1, 0, 2]
    small = {"optimizer": "adamw", "initial_lr": 2e-3, "save_every": 5}
    assert plan["nnsparse"].items() >= (SHORT | small).items()
    assert plans["nnsparse"]["fingerprint"] == {
        "data_set": TINY,
        "cases": 6,
        "labels": "annotated",
    }
    assert plan["preprocessor_name"] == "DefaultPreprocessor"
    assert not list(folder.rglob(".nnsparse_*/*"))


@pytest.mark.slow
def test_new_settings_share_the_data(trainable, calls):
    file = run(trainable, plans_name="longer", settings={"num_epochs": 20})
    plans = json.loads(file.read_text("utf-8"))
    assert file.name == "longer.json"
    assert plans["configurations"]["2d"]["data_identifier"] == "nnsparseSmallPlans_2d"
    assert plans["configurations"]["2d"]["nnsparse"]["num_epochs"] == 20
    assert run(trainable, plans_name="longer", settings={"num_epochs": 20}) == file
    assert calls == []


def test_plans_share_the_data_of_all_configurations(trainable):
    file = run(trainable, plans_name="Other", settings={"num_epochs": 5})
    plans = json.loads(file.read_text("utf-8"))["configurations"]
    assert {name: plans[name]["data_identifier"] for name in ("2d", "3d_fullres")} == {
        "2d": "nnsparseSmallPlans_2d",
        "3d_fullres": "nnsparseSmallPlans_3d_fullres",
    }


def test_other_settings_under_the_same_name_are_refused(trainable):
    with pytest.raises(SparseError, match=r"nnsparse of configuration 2d differs.*-p.*--overwrite"):
        run(trainable, settings={"num_epochs": 3})
    run(trainable, settings={"num_epochs": 3}, overwrite=True)
    plans = json.loads(
        (trainable.preprocessed / TINY / "nnsparseSmallPlans.json").read_text("utf-8")
    )
    assert plans["configurations"]["2d"]["nnsparse"]["num_epochs"] == 3


@pytest.mark.slow
def test_a_missing_case_is_made_again(trainable, calls):
    folder = trainable.preprocessed / TINY / "nnsparseSmallPlans_2d"
    (folder / "case_3.pkl").unlink()
    run(trainable, settings=SHORT)
    assert calls == ["run"]
    assert (folder / "case_3.pkl").is_file()


@pytest.mark.slow
def test_a_killed_preprocessing_is_repeated(trainable, calls):
    record = StepRecord(trainable.preprocessed / TINY)
    record.start("preprocessed/nnsparseSmallPlans_2d")
    run(trainable, settings=SHORT)
    assert calls == ["run"]


@pytest.mark.slow
def test_a_changed_label_is_noticed(trainable, calls):
    label = trainable.raw / TINY / "labelsTr" / "case_0.nii.gz"
    image = sitk.ReadImage(str(label))
    sitk.WriteImage(image * 0, str(label))
    run(trainable, settings=SHORT, overwrite=True)
    assert calls == ["_measured", "_planned", "run"]
    copy = trainable.preprocessed / TINY / "gt_segmentations" / "case_0.nii.gz"
    assert copy.read_bytes() == label.read_bytes()


@pytest.mark.slow
def test_planners_of_nnunet_and_added_configurations(trainable, caplog):
    run(trainable, settings=SHORT)
    assert "cut 2d slices" not in caplog.text
    file = run(trainable, planner="ExperimentPlanner")
    assert "annotated along array axis 1, but these plans cut 2d slices along axis 0" in caplog.text
    assert file.name == "nnUNetPlans.json"
    plans = json.loads(file.read_text("utf-8"))
    assert "nnsparse" not in plans["configurations"]["2d"]
    # cut along the axis of largest spacing, not along the slice axis: other data
    assert plans["configurations"]["2d"]["data_identifier"] == "nnUNetPlans_2d"
    plans["configurations"]["mine"] = {"inherits_from": "2d", "batch_size": 3}
    file.write_text(json.dumps(plans))
    run(trainable, planner="ExperimentPlanner", settings={"num_epochs": 7}, overwrite=True)
    after = json.loads(file.read_text("utf-8"))["configurations"]
    assert after["2d"]["nnsparse"]["num_epochs"] == 7
    assert after["mine"] == {"inherits_from": "2d", "batch_size": 3}


@pytest.mark.slow
def test_the_slice_axis_of_a_data_set_of_others_is_that_of_its_labels(tiny_paths, caplog):
    (tiny_paths.raw / TINY / "selection.json").unlink(missing_ok=True)
    plans = json.loads(run(tiny_paths).read_text("utf-8"))
    assert plans["transpose_forward"] == [SLICE_AXIS, 0, 2]
    assert not caplog.records
    run(tiny_paths, planner="ExperimentPlanner")
    assert "8 of 8 labels of Dataset777_Tiny are annotated along another axis" in caplog.text


@pytest.mark.slow
def test_labels_of_different_axes_are_told(tiny_paths, caplog):
    (tiny_paths.raw / TINY / "selection.json").unlink(missing_ok=True)
    file = tiny_paths.raw / TINY / "labelsTr" / "case_0.nii.gz"
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    label[:] = 2
    label[:, :, 3] = 1
    sitk.WriteImage(sitk.GetImageFromArray(label), str(file))
    plans = json.loads(run(tiny_paths).read_text("utf-8"))
    assert plans["transpose_forward"] == [SLICE_AXIS, 0, 2]
    assert "different axes (5 along axis 1, 1 along axis 2)" in caplog.text


def test_images_of_one_slice_have_2d_alone(make_base, capsys):
    labels = {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}
    make_base("Dataset005_Flat", shapes=[(1, 40, 36)], num_train=4, labels=labels)
    arguments = ["-d", "5", "-pl", "SmallPlanner", "-np", "1"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in printed[1:]] == [
        ["train:", "nnUNetv2_train", "Dataset005_Flat", "2d"]
    ]
    assert main([*arguments, "-c", "2d", "3d_fullres"]) == 2


def test_planning_of_tiff_images_is_quiet(make_base, paths, capfd):
    make_base("Dataset005_Tiff", num_train=4, ending=".tif")
    arguments = {"planner": "SmallPlanner", "configurations": ["3d_fullres"], "num_processes": 1}
    plan_and_preprocess(paths, "5", **arguments)
    assert "Traceback" not in capfd.readouterr().err


def test_preprocessed_data_of_other_origin_stay(trainable):
    folder = trainable.preprocessed / TINY
    data = folder / "nnUNetPlans_2d"
    data.mkdir()
    (data / "case_0.b2nd").write_bytes(b"mine")
    with pytest.raises(SparseError, match=r"nnUNetPlans_2d holds .* other origin.*--overwrite"):
        run(trainable, planner="ExperimentPlanner")
    assert {file.name: file.read_bytes() for file in data.iterdir()} == {"case_0.b2nd": b"mine"}
    run(trainable, planner="ExperimentPlanner", overwrite=True)
    assert (data / "case_7.pkl").is_file()


def test_a_lost_record_is_made_anew_with_overwrite(trainable):
    run(trainable, plans_name="Other", settings=SHORT)
    (trainable.preprocessed / TINY / "nnsparse_steps.json").write_text("[1]")
    with pytest.raises(SparseError, match="other origin"):
        run(trainable, settings=SHORT)
    file = run(trainable, settings=SHORT, overwrite=True)
    identifier = json.loads(file.read_text("utf-8"))["configurations"]["2d"]["data_identifier"]
    assert identifier == "nnsparseSmallPlans_2d"


def test_damaged_stored_plans_are_made_anew(trainable, calls):
    for file in (trainable.preprocessed / TINY / "nnsparse").glob("*.json"):
        file.write_text("{")
    run(trainable, plans_name="Other", settings=SHORT)
    assert calls[:2] == ["_measured", "_planned"]


def test_another_split_is_refused(trainable):
    raw = trainable.raw / TINY / "splits_final.json"
    copy = trainable.preprocessed / TINY / "splits_final.json"
    splits = [{"train": ["case_0"], "val": ["case_1"]}]
    raw.write_text(json.dumps(splits))
    with pytest.raises(SparseError, match=r"splits_final.json differs.*--overwrite"):
        run(trainable, settings=SHORT)
    run(trainable, settings=SHORT, overwrite=True)
    assert json.loads(copy.read_text("utf-8")) == splits


def test_more_folds_in_the_copy_are_fine(trainable):
    raw = trainable.raw / TINY / "splits_final.json"
    raw.write_text(json.dumps(json.loads(raw.read_text("utf-8"))[:1]))
    run(trainable, settings=SHORT)
    copy = trainable.preprocessed / TINY / "splits_final.json"
    assert len(json.loads(copy.read_text("utf-8"))) == 3


def test_folds_that_are_added_to_the_raw_one_are_added(trainable):
    raw = trainable.raw / TINY / "splits_final.json"
    copy = trainable.preprocessed / TINY / "splits_final.json"
    splits = json.loads(raw.read_text("utf-8"))
    raw.write_text(json.dumps([*splits, splits[0]]))
    run(trainable, settings=SHORT)
    assert json.loads(copy.read_text("utf-8")) == [*splits, splits[0]]


def test_a_file_that_is_no_plans_stays(trainable):
    file = trainable.preprocessed / TINY / "notes.json"
    file.write_text("[1, 2]")
    with pytest.raises(SparseError, match="holds other plans"):
        run(trainable, plans_name="notes")
    assert file.read_text("utf-8") == "[1, 2]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-d", "778"], "no data set '778'"),
        (["-pl", "SmalPlanner"], "did you mean SmallPlanner"),
        (["-pl", "join"], "unknown planner 'join'"),
        (["-p", "a__b"], "a plans name consists"),
        (["-p", "../x"], "a plans name consists"),
        (["-p", "dataset"], "'dataset' is taken"),
        (["-c", "3d"], "unknown configuration '3d', choose from 2d, 3d_fullres"),
        (["-c", "3d_lowres"], "'3d_lowres' is not planned for this data set (planned: "),
        (["--set", "num_epochs=0"], "num_epochs must be a whole number of at least 1"),
        (["--set", "epochs"], "key=value"),
    ],
)
@pytest.mark.usefixtures("trainable")
def test_bad_arguments_end_with_one_line(capsys, arguments, message):
    assert main(["-d", "777", "-np", "1", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_unset_paths(monkeypatch, capsys):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    assert main(["-d", "777"]) == 2
    assert "nnUNet_raw" in capsys.readouterr().err


def test_refusals_come_before_anything_is_made(tiny_paths):
    raw = tiny_paths.raw / TINY
    for options, message in (
        ({"configurations": ["4d"]}, "unknown configuration '4d', choose from 2d, 3d_fullres"),
        ({"planner": "NoPlanner", "plans_name": "a"}, "unknown planner"),
        ({"plans_name": ""}, "plans name"),
        ({"plans_name": "Dataset"}, "taken by a file of another kind"),
    ):
        with pytest.raises(SparseError, match=message):
            run(tiny_paths, **options)
    for name, text, message in (
        ("selection.json", '{"axis": 7}', "must name the slice axis"),
        ("dataset.json", None, "nnU-Net does not take these labels: ignore must be .* got 1"),
    ):
        content = json.loads((raw / "dataset.json").read_text("utf-8"))
        content["labels"]["ignore"] = 1
        before = (raw / name).read_text("utf-8")
        (raw / name).write_text(text or json.dumps(content))
        with pytest.raises(SparseError, match=message):
            run(tiny_paths)
        (raw / name).write_text(before)
    assert not list(tiny_paths.preprocessed.iterdir())


def test_an_empty_split_is_refused(tiny_paths):
    (tiny_paths.raw / TINY / "splits_final.json").write_text("[]")
    with pytest.raises(SparseError, match="one for each fold"):
        run(tiny_paths)


def test_missing_label(tiny_paths):
    (tiny_paths.raw / TINY / "labelsTr" / "case_2.nii.gz").unlink()
    with pytest.raises(SparseError, match=r"1 of 8 training labels are missing: case_2"):
        run(tiny_paths)
    assert not (tiny_paths.preprocessed / TINY).exists()


def test_missing_image(tiny_paths):
    shutil.rmtree(tiny_paths.raw / "Dataset776_Base")
    with pytest.raises(SparseError, match=r"8 of 8 training images are missing.*case_0_0000"):
        run(tiny_paths)


def test_broken_dataset_json(tiny_paths):
    file = tiny_paths.raw / TINY / "dataset.json"
    file.write_text("{")
    with pytest.raises(SparseError, match="not valid JSON"):
        run(tiny_paths)
    file.write_text("{}")
    with pytest.raises(SparseError, match="lacks labels, file_ending, channel_names"):
        run(tiny_paths)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"no image", None])
def test_damaged_images_are_refused_before_anything_is_made(tiny_paths, content):
    file = tiny_paths.raw / "Dataset776_Base" / "imagesTr" / "case_5_0000.nii.gz"
    file.write_bytes(content or file.read_bytes()[:-200])
    with pytest.raises(SparseError, match=r"case_5_0000\.nii\.gz is damaged"):
        run(tiny_paths)
    assert not list(tiny_paths.preprocessed.iterdir())


@pytest.mark.slow
def test_command_says_what_to_run_next(trainable, capfd):
    arguments = [f"{key}={value}" for key, value in SHORT.items()]
    assert main(["-d", TINY, "-c", "2d", "-pl", "SmallPlanner", "--set", *arguments]) == 0
    assert capfd.readouterr().out.splitlines() == [
        f"plans: {trainable.preprocessed / TINY / 'nnsparseSmallPlans.json'}",
        f"train: nnUNetv2_train {TINY} 2d 0 -tr SparseTrainer -p nnsparseSmallPlans",
    ]
