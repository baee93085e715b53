"""2D images, annotated in part, of every format that nnU-Net reads."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from nnunet_sparse.data.preprocessing_record import StepRecord
from nnunet_sparse.doctor.examine import examine
from nnunet_sparse.doctor.subject import open_subject
from nnunet_sparse.planners.plan_and_preprocess import plan_and_preprocess
from nnunet_sparse.system.paths import NnUNetPaths

NAME = "Dataset600_Flat"
CASES = [f"c{i}" for i in range(4)]


def write(file: Path, pixels: np.ndarray) -> None:
    """Write an image of (y, x) or (y, x, colour) in the format that its name tells."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix in {".png", ".bmp"}:
        Image.fromarray(pixels).save(file)
    elif file.suffix == ".tif":
        tifffile.imwrite(file, pixels)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(pixels), str(file))


def write_dataset(paths: NnUNetPaths, ending: str, colours: int) -> Path:
    """Images of 48 x 60 pixels; 36 x 30 of them are annotated."""
    folder, rng = paths.raw / NAME, np.random.default_rng(0)
    for case_id in CASES:
        label = np.full((48, 60), 2, np.uint8)
        label[6:42, 10:40] = 0
        label[12:30, 14:30] = 1
        image = (100 * (label == 1) + rng.integers(1, 40, label.shape)).astype(np.uint8)
        if colours:
            image = np.stack([image] * colours, axis=-1)
        write(folder / "imagesTr" / f"{case_id}_0000{ending}", image)
        write(folder / "labelsTr" / f"{case_id}{ending}", label)
    content = {
        "channel_names": {str(i): "gray" for i in range(colours or 1)},
        "labels": {"background": 0, "object": 1, "ignore": 2},
        "numTraining": len(CASES),
        "file_ending": ending,
    }
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    (paths.preprocessed / NAME).mkdir(parents=True)
    splits = json.dumps([{"train": CASES[:3], "val": CASES[3:]}])
    (paths.preprocessed / NAME / "splits_final.json").write_text(splits, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("ending", "colours"),
    [(".png", 3), (".png", 0), (".bmp", 0), (".tif", 0), (".tif", 3), (".nii.gz", 0), (".mha", 0)],
)
def test_labels(paths: NnUNetPaths, ending: str, colours: int) -> None:
    write_dataset(paths, ending, colours)
    diagnosis = examine(open_subject(paths, NAME, None, None), "SparseTrainer")
    found = {finding.check: finding for finding in diagnosis.findings}
    assert {f.check: f.verdict for f in found.values() if f.verdict != "ok"} == {
        "dense validation": "warning"
    }
    # 36 * 30 / (48 * 60)
    assert "4 of 4 are annotated in part, 37.5 to 37.5 % of" in found["whole slices"].found
    cases = found["annotated slices"].details["cases"]
    assert cases["c0"] == {"num_slices": 1, "annotated_slices": 1, "class_slices": {"object": 1}}


def test_values_that_nobody_declares(paths: NnUNetPaths) -> None:
    folder = write_dataset(paths, ".png", 0)
    write(folder / "labelsTr" / "c1.png", np.full((48, 60), 7, np.uint8))
    diagnosis = examine(open_subject(paths, NAME, None, None), "SparseTrainer")
    finding = next(f for f in diagnosis.findings if f.check == "label values")
    assert (finding.verdict, finding.details["undeclared"]) == ("broken", {"c1": (7,)})


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "colours"), [(".png", 3), (".nii.gz", 0)])
def test_preprocessed_data_and_batches(paths: NnUNetPaths, ending: str, colours: int) -> None:
    write_dataset(paths, ending, colours)
    plan_and_preprocess(paths, NAME, planner="SmallPlanner", num_processes=1)
    subject = open_subject(paths, NAME, None, None)
    assert subject.configurations == ("2d",)
    diagnosis = examine(subject, "SparseTrainer", num_batches=2)
    assert diagnosis.skipped == []
    found = {f.check: f for f in diagnosis.findings if f.configuration == "2d"}
    assert {"surviving slices", "preprocessed files"} < found.keys()
    assert {f.verdict for f in found.values()} <= {"ok", "warning"}
    assert found["surviving slices"].number == 0
    record = StepRecord(paths.preprocessed / NAME)
    assert set(record.label_digests("nnsparseSmallPlans_2d")) == set(CASES)
