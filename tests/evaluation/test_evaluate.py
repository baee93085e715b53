import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from training_fixtures import use_threads

from nnunet_sparse.evaluation import evaluate
from nnunet_sparse.evaluation.evaluate import SUMMARY_FILE, evaluate_folder, main, score_folder

SPACING_XYZ = (1.0, 2.0, 5.0)
SHAPE = (6, 8, 10)
IGNORE = 3
LABELS = {"background": 0, "organ": 1, "tumour": 2}
OVERLAP = ("Dice", "IoU", "TP", "FP", "FN")


def write(path, array, spacing=SPACING_XYZ, origin=(0.0, 0.0, 0.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), True)


def write_dataset_json(folder, labels, ending=".nii.gz", **more):
    content = {"labels": labels, "channel_names": {"0": "CT"}, "file_ending": ending, **more}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content))


def volumes(num_cases, highest=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, highest + 1, SHAPE, dtype=np.uint8) for _ in range(num_cases)]


def make_folders(root, ending=".nii.gz", num_cases=2):
    """Ground truth and random predictions of labels 0, 1, 2."""
    gt, pred = root / "labelsTs", root / "pred"
    for i, (truth, guess) in enumerate(
        zip(volumes(num_cases), volumes(num_cases, seed=1), strict=True)
    ):
        write(gt / f"case_{i}{ending}", truth)
        write(pred / f"case_{i}{ending}", guess)
    write_dataset_json(root, LABELS, ending)
    return gt, pred


@pytest.fixture
def folders(tmp_path):
    return make_folders(tmp_path)


def test_an_image_that_cannot_be_read_is_of_no_importance(folders):
    gt, pred = folders
    for case in ("case_0", "case_1"):
        (gt.parent / "imagesTs").mkdir(exist_ok=True)
        (gt.parent / "imagesTs" / f"{case}_0000.nii.gz").write_text("damaged")
    assert score_folder(gt, pred)["nnsparse"]["num_cases"] == 2


def run_stock(monkeypatch, entry_point, *arguments):
    from nnunetv2.evaluation import evaluate_predictions

    use_threads(monkeypatch)
    monkeypatch.setattr(sys, "argv", [entry_point, *map(str, arguments)])
    getattr(evaluate_predictions, entry_point)()


def overlap_only(per_case):
    """Our values per case and label, NaN as in Python."""
    return [
        {
            key: [math.nan if row[m] is None else row[m] for m in OVERLAP]
            for key, row in rows.items()
        }
        for rows in per_case
    ]


def assert_same_overlap(summary, stock_file):
    from nnunetv2.evaluation.evaluate_predictions import load_summary_json

    stock = load_summary_json(str(stock_file))
    ours = overlap_only([case["labels"] for case in summary["nnsparse"]["per_case"]])
    theirs = [
        {str(label): [row[m] for m in OVERLAP] for label, row in case["metrics"].items()}
        for case in stock["metric_per_case"]
    ]
    assert len(ours) == len(theirs) > 0
    for left, right in zip(ours, theirs, strict=True):
        assert left.keys() == right.keys()
        for label in left:
            np.testing.assert_array_equal(left[label], right[label])
    for label, row in stock["mean"].items():
        mean = summary["nnsparse"]["per_label"][str(label)]
        np.testing.assert_allclose(mean["Dice"]["mean"], row["Dice"])
        assert summary["mean"][str(label)] == row
    written = json.loads(Path(stock_file).read_text("utf-8"))
    for part in ("foreground_mean", "metric_per_case"):
        assert summary[part] == evaluate._null_for_nan(written[part])


@pytest.mark.slow
def test_same_numbers_as_stock_nnunet_with_ignore_label(tmp_path, monkeypatch):
    from nnunetv2.evaluation.evaluate_predictions import load_summary_json

    base, pred = tmp_path / "base", tmp_path / "pred"
    gt = tmp_path / "sparse" / "labelsTs"
    gt.mkdir(parents=True)
    truths, guesses = volumes(3, highest=IGNORE), volumes(3, seed=1)
    guesses[1] = (truths[1] == 2).astype(np.uint8)  # the tumour is missed
    truths[2][truths[2] == 2] = guesses[2][guesses[2] == 2] = 0  # no tumour at all
    for i, (truth, guess) in enumerate(zip(truths, guesses, strict=True)):
        write(base / f"case_{i}.nii.gz", truth.astype(np.float32 if i == 1 else np.uint8))
        (gt / f"case_{i}.nii.gz").symlink_to(base / f"case_{i}.nii.gz")
        write(pred / f"case_{i}.nii.gz", guess)
    write_dataset_json(gt.parent, {**LABELS, "ignore": IGNORE})
    (pred / "plans.json").write_text("{}")
    (pred / "predict_from_raw_data_args.json").write_text("{}")

    summary = evaluate_folder(gt, pred)
    plans = pred / "plans.json"
    dataset = gt.parent / "dataset.json"
    folder, simple = tmp_path / "folder.json", tmp_path / "simple.json"
    run_stock(
        monkeypatch,
        "evaluate_folder_entry_point",
        *(gt, pred, "-djfile", dataset, "-pfile", plans, "-o", folder, "-np", 1),
    )
    run_stock(
        monkeypatch,
        "evaluate_simple_entry_point",
        *(gt, pred, "-l", 1, 2, "-il", IGNORE, "-o", simple, "-np", 1),
    )
    assert_same_overlap(summary, folder)
    assert_same_overlap(summary, simple)
    assert not (pred / "summary.json").exists()
    assert json.loads((pred / SUMMARY_FILE).read_text("utf-8")) == summary
    ours_read_by_stock = load_summary_json(str(pred / SUMMARY_FILE))
    assert ours_read_by_stock["metric_per_case"][2]["metrics"][2]["Dice"] is None
    assert ours_read_by_stock["mean"] == load_summary_json(str(folder))["mean"]
    ours = summary["nnsparse"]
    assert [ours["per_label"]["2"][f"num_{kind}"] for kind in ("empty", "missed", "false")] == [
        *(1, 1, 0)
    ]
    assert [case["num_ignored"] for case in ours["per_case"]] == [
        int((truth == IGNORE).sum()) for truth in truths
    ]


@pytest.mark.slow
def test_regions_as_stock_nnunet_has_them(folders, tmp_path, monkeypatch):
    gt, pred = folders
    regions = {"background": 0, "whole": [1, 2], "tumour": 2}
    write_dataset_json(tmp_path, regions, regions_class_order=[1, 2])
    (pred / "plans.json").write_text("{}")
    summary = evaluate_folder(gt, pred)
    run_stock(
        monkeypatch,
        "evaluate_folder_entry_point",
        *(gt, pred, "-djfile", tmp_path / "dataset.json", "-pfile", pred / "plans.json", "-np", 1),
    )
    assert_same_overlap(summary, pred / "summary.json")
    assert list(summary["nnsparse"]["per_label"]) == ["(1, 2)", "2"]


@pytest.mark.slow
def test_independent_of_num_processes(folders):
    assert score_folder(*folders, num_processes=1) == score_folder(*folders, num_processes=2)


def test_hand_worked_numbers(tmp_path):
    gt, pred = tmp_path / "labelsTs", tmp_path / "pred"
    truth, guess = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    truth[2:4, 4, 4] = 1
    guess[3:5, 4, 4] = 1  # one slice of 5 mm further
    write(gt / "a.nii.gz", truth)
    write(pred / "a.nii.gz", guess)
    write(gt / "b.nii.gz", truth)
    write(pred / "b.nii.gz", np.zeros(SHAPE, np.uint8))  # missed
    write_dataset_json(tmp_path, LABELS)
    ours = evaluate_folder(gt, pred, tolerance_mm=1)["nnsparse"]

    diagonal = math.sqrt((6 * 5) ** 2 + (8 * 2) ** 2 + 10**2)
    assert ours["per_case"][0]["labels"]["1"] == pytest.approx(
        {
            "Dice": 1 / 2,
            "IoU": 1 / 3,
            "TP": 1,
            "FP": 1,
            "FN": 1,
            "HD95_mm": 0.95 * 5,
            "NSD": 1 / 2,
            "reference_ml": 0.02,
            "prediction_ml": 0.02,
        }
    )
    organ, tumour = ours["per_label"]["1"], ours["per_label"]["2"]
    assert (organ["TP"], organ["FP"], organ["FN"]) == (1, 1, 3)
    assert (organ["batched_IoU"], organ["batched_Dice"]) == (1 / 5, 1 / 3)
    assert organ["Dice"] == pytest.approx({"mean": 0.25, "std": math.sqrt(0.125), "num": 2})
    assert organ["HD95_mm"]["mean"] == pytest.approx((0.95 * 5 + diagonal) / 2)
    assert (organ["num_empty"], organ["num_missed"], organ["num_false"]) == (0, 1, 0)
    assert tumour["num_empty"] == 2
    assert tumour["batched_IoU"] is None
    assert tumour["Dice"] == {"mean": None, "std": None, "num": 0}
    assert ours["foreground_mean"]["batched_IoU"] == 1 / 5  # the absent tumour is left out


def test_ignored_voxels_count_nowhere(tmp_path):
    truth, guess = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    truth[2:4, 4, 4] = 1
    truth[4:] = IGNORE
    guess[3:5, 4, 4] = 1
    write(tmp_path / "labelsTs" / "a.nii.gz", truth)
    write(tmp_path / "pred" / "a.nii.gz", guess)
    write_dataset_json(tmp_path, {**LABELS, "ignore": IGNORE})
    ours = score_folder(tmp_path / "labelsTs", tmp_path / "pred", labels=[0, 1])["nnsparse"]
    row = ours["per_case"][0]["labels"]["1"]
    assert (row["TP"], row["FP"], row["FN"], row["NSD"]) == (1, 0, 1, 2 / 3)
    assert (row["reference_ml"], row["prediction_ml"]) == pytest.approx((0.02, 0.01))
    assert ours["per_case"][0]["num_ignored"] == 2 * 8 * 10
    assert ours["foreground_mean"]["batched_IoU"] == 1 / 2  # of label 1 alone


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd", ".nhdr", ".gipl.gz", ".nii"])
def test_other_file_endings(tmp_path, ending):
    gt, pred = make_folders(tmp_path, ending)
    expected = score_folder(*make_folders(tmp_path / "nifti"))
    found = score_folder(gt, pred)
    for part in ("nnsparse", "mean", "foreground_mean"):
        assert found[part] == expected[part]
    (tmp_path / "dataset.json").unlink()
    listed = score_folder(gt, pred, labels=[2, 1])["nnsparse"]
    assert listed["per_case"] == expected["nnsparse"]["per_case"]


def test_dataset_json_of_the_predictions_serves(folders, tmp_path):
    gt, pred = folders
    expected = score_folder(gt, pred)
    (tmp_path / "dataset.json").rename(pred / "dataset.json")
    assert score_folder(gt, pred) == expected
    assert list(score_folder(gt, pred, labels=[2])["nnsparse"]["per_label"]) == ["2"]


def test_chill_skips_missing_predictions(folders):
    gt, pred = folders
    (pred / "case_0.nii.gz").unlink()
    ours = score_folder(gt, pred, chill=True)["nnsparse"]
    assert ours["missing_predictions"] == ["case_0"]
    assert [case["case"] for case in ours["per_case"]] == ["case_1"]


def test_existing_output_is_kept_unless_asked(folders, capsys):
    gt, pred = folders
    arguments = [str(gt), str(pred), "-np", "1"]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert re.search(r"^1 organ +0\.\d{3} ", table, re.MULTILINE)
    assert re.search(r"^foreground mean +0\.\d{3} ", table, re.MULTILINE)
    assert table.isascii()
    before = (pred / SUMMARY_FILE).read_bytes()
    assert main(arguments) == 0  # same content
    assert main([*arguments, "--tolerance_mm", "3"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (pred / SUMMARY_FILE).read_bytes() == before
    assert main([*arguments, "--tolerance_mm", "3", "--overwrite"]) == 0
    assert json.loads((pred / SUMMARY_FILE).read_text("utf-8"))["nnsparse"]["tolerance_mm"] == 3


def truncate(path):
    path.write_bytes(path.read_bytes()[:-60])


def first_truth(root):
    return root / "labelsTs" / "case_0.nii.gz"


def first_prediction(root):
    return root / "pred" / "case_0.nii.gz"


def value(number, dtype=np.uint8):
    array = volumes(1)[0].astype(dtype)
    array[0, 0, 0] = number
    return array


def break_link(path):
    path.unlink()
    path.symlink_to("nowhere")


def test_scoring_imports_neither_torch_nor_monai(folders):
    """Importing them takes longer than scoring."""
    program = (
        "import sys\n"
        "from nnunet_sparse.evaluation.evaluate import main\n"
        "ended = main(sys.argv[1:])\n"
        "sys.exit(ended or ', '.join({'torch', 'monai'} & sys.modules.keys()) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, folders), "-np", "1"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((folders[1] / SUMMARY_FILE).read_text("utf-8"))["nnsparse"]
    assert summary["per_label"]["1"]["HD95_mm"]["num"] == 2  # there were surfaces to compare


BAD_INPUT = {
    "truncated prediction": (lambda root: truncate(first_prediction(root)), "pred/case_0.nii.gz"),
    "truncated ground truth": (lambda root: truncate(first_truth(root)), "labelsTs/case_0.nii.gz"),
    "no image": (lambda root: first_truth(root).write_text("hello"), "labelsTs/case_0.nii.gz"),
    "other shape": (
        lambda root: write(first_prediction(root), np.zeros((5, 8, 10), np.uint8)),
        r"pred/case_0.* \(5, 8, 10\).* \(6, 8, 10\)",
    ),
    "other spacing": (
        lambda root: write(first_prediction(root), value(0), (1, 2, 4)),
        "pred/case_0.*spacing",
    ),
    "other origin": (
        lambda root: write(first_prediction(root), value(0), origin=(0, 0, 3)),
        "pred/case_0.*origin",
    ),
    "undeclared value": (
        lambda root: write(first_prediction(root), value(7)),
        r"pred/case_0.*7.*\[0, 1, 2\]",
    ),
    "undeclared truth": (lambda root: write(first_truth(root), value(7)), "labelsTs/case_0.*7"),
    "not whole": (
        lambda root: write(first_prediction(root), value(0.5, np.float32)),
        "pred/case_0.*0.5",
    ),
    "no prediction": (
        lambda root: first_prediction(root).unlink(),
        "lacks predictions for case_0.*--chill",
    ),
    "no ground truth": (
        lambda root: first_truth(root).unlink(),
        "no ground truth in .* for case_0",
    ),
    "broken link": (
        lambda root: break_link(first_truth(root)),
        "broken links in .*labelsTs: case_0",
    ),
    "no dataset.json": (lambda root: (root / "dataset.json").unlink(), "--dataset_json"),
    "empty dataset.json": (lambda root: (root / "dataset.json").write_text("{}"), "lacks"),
    "bad dataset.json": (lambda root: (root / "dataset.json").write_text("{"), "dataset.json"),
    "no background": (lambda root: write_dataset_json(root, {"a": 1}), "background must be 0"),
    "only background": (lambda root: write_dataset_json(root, {"background": 0}), "no label"),
    "region order": (
        lambda root: write_dataset_json(root, {"background": 0, "a": [1, 2]}),
        "regions_class_order",
    ),
    "natural images": (lambda root: write_dataset_json(root, LABELS, ".png"), "no files"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_ends_with_one_line(folders, tmp_path, capsys, name):
    damage, message = BAD_INPUT[name]
    damage(tmp_path)
    check_refused(folders, folders[1], capsys, message)


BAD_ARGUMENTS = {
    "labels": (["-l", "5"], r"declares the labels \[0, 1, 2\], not \[5\]"),
    "negative label": (["-l", "-1"], "whole numbers from 0"),
    "ignored label": (["-l", "1", "-il", "1"], "ignore label"),
    "declared label": (["-il", "1"], "1 cannot be the ignore label"),
    "tolerance": (["--tolerance_mm", "-1"], "tolerance must be at least 0 mm"),
    "no number": (["--tolerance_mm", "nan"], "got nan"),
    "output folder": (["-o", "nowhere/x.json"], "nowhere is not a folder"),
    "output ending": (["-o", "x.txt"], "x.txt"),
    "dataset.json": (["--dataset_json", "nowhere.json"], "nowhere.json: No such file"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_argument_ends_with_one_line(folders, capsys, name):
    arguments, message = BAD_ARGUMENTS[name]
    check_refused([*folders, *arguments], folders[1], capsys, message)


def test_missing_and_empty_folders(folders, tmp_path, capsys):
    gt, pred = folders
    empty = tmp_path / "empty"
    empty.mkdir()
    check_refused([tmp_path / "nowhere", pred], pred, capsys, "nowhere is not a folder")
    check_refused([gt, tmp_path / "nowhere"], pred, capsys, "nowhere is not a folder")
    check_refused([gt, empty], empty, capsys, r"empty holds no files ending in \.nii\.gz")
    check_refused([empty, pred], pred, capsys, r"empty holds no files ending in \.nii\.gz")
    (tmp_path / "dataset.json").unlink()
    check_refused([empty, pred, "-l", "1"], pred, capsys, "empty holds no segmentations")


def test_read_only_folder_is_found_before_any_work(folders, capsys, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("nnunet_sparse.system.atomic._make_folder", refuse)
    monkeypatch.setattr(evaluate, "score_folder", None)
    check_refused(folders, folders[1], capsys, "cannot write into .*pred: Permission denied.*-o")


def check_refused(arguments, folder, capsys, message):
    before = sorted(folder.iterdir())
    assert main([*map(str, arguments), "-np", "1"]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert re.search(message, lines[0])
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert sorted(folder.iterdir()) == before


@pytest.mark.usefixtures("folders")
def test_path_arguments_may_be_relative(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert score_folder(Path("labelsTs"), Path("pred"))["nnsparse"]["num_cases"] == 2
