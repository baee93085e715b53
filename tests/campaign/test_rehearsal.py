"""The whole way from volumes without labels to scores, by commands alone."""

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from campaign.annotator import (
    annotate,
    break_geometry,
    confirm_predictions,
    read_rows,
    repair_geometry,
)
from campaign.phantom_scans import write_phantoms
from forked_commands import run_forked
from training_fixtures import use_paths

from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.system.paths import NnUNetPaths

SHORT = "num_epochs=2 num_iterations_per_epoch=3 num_val_iterations_per_epoch=1 save_every=1"
SETTINGS = ("-c", "2d", "-pl", "SmallPlanner", "--set", *SHORT.split())
IN_TURN = ("-npp", "0", "-nps", "0")
TRAINED = "Dataset500_campaign 2d 0 -tr SparseTrainer -p nnsparseSmallPlans -device cpu"


def run(*words: str, status: int = 0) -> str:
    """Run a command in a process of its own; what it prints."""
    done = run_forked(*words, status=status)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_from_volumes_to_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = NnUNetPaths.below(tmp_path / "nnunet")
    paths.make_folders()
    use_paths(paths, monkeypatch)
    monkeypatch.chdir(tmp_path)
    write_phantoms(tmp_path, num_train=8, num_test=2)
    asked = "--labels organ tumour --channels MRI --rho 0.2 --selector ual -device cpu -np 1"
    # in this process, whose networks of selectors are short
    assert worklist(["make", "scans", "-o", "campaign", *asked.split()]) == 0
    campaign = tmp_path / "campaign"
    rows = read_rows(campaign)
    assert len(rows) == 8 * 4  # a fifth of 20 slices
    shown = [(r["case"], int(r["slice"])) for r in rows if 4 < int(r["slice"]) < 15]
    broken = next(r["case"] for r in rows if r["case"] != shown[0][0])
    annotate(campaign, tmp_path / "truth", {shown[0]}, minutes=1)
    break_geometry(campaign, broken)
    assert any(row["confirmed_empty"] == "yes" for row in read_rows(campaign))

    refused = run("nnsparse_import", "campaign", "-np", "1", status=2)
    assert f"{broken}.nii.gz lies elsewhere than its image" in refused
    assert f"{shown[0][0]}.nii.gz: slice {shown[0][1]} is as prefilled" in refused
    assert list(paths.raw.glob("Dataset*")) == []
    status = run("nnsparse_worklist", "status", "campaign", "-np", "1")
    assert "1 touched" in status
    assert f"problem:  {campaign.name}/labels/{broken}.nii.gz lies elsewhere" in status

    repair_geometry(campaign, broken)
    annotate(campaign, tmp_path / "truth")
    run("nnsparse_import", "campaign", "--val", "2", "--tool", "annotator", "-np", "1")
    planned = run("nnsparse_plan_and_preprocess", "-d", "500", *SETTINGS, "-np", "1")
    assert "no labels of" not in planned
    assert "0 broken" in run("nnsparse_doctor", "-d", "500", "--no_picture")
    run("nnUNetv2_train", *TRAINED.split())
    summary = paths.results / "Dataset500_campaign/SparseTrainer__nnsparseSmallPlans__2d/fold_0"
    scores = json.loads((summary / "validation" / "summary.json").read_text("utf-8"))
    assert len(scores["metric_per_case"]) == 2
    model = "-d 500 -c 2d -f 0 -tr SparseTrainer -p nnsparseSmallPlans -device cpu"
    run("nnUNetv2_predict", *model.split(), "-i", "test", "-o", "predictions", *IN_TURN)
    scored = run("nnsparse_evaluate", "test_truth", "predictions", "-np", "1", "-l", "1", "2")
    assert "batched" in scored


@pytest.mark.slow
def test_two_rounds_and_the_slices_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trained network chooses what is annotated next, and fills the slices that nobody has."""
    paths = NnUNetPaths.below(tmp_path / "nnunet")
    paths.make_folders()
    use_paths(paths, monkeypatch)
    monkeypatch.chdir(tmp_path)
    write_phantoms(tmp_path, num_train=6, num_test=2)
    campaign, one = tmp_path / "campaign", ("-np", "1")
    asked = "--labels organ tumour --channels MRI --rho 0.1 --selector stratified"
    run("nnsparse_worklist", "make", "scans", "-o", "campaign", *asked.split(), *one)
    annotate(campaign, tmp_path / "truth")
    run("nnsparse_import", "campaign", "--val", "2", *one)
    run("nnsparse_plan_and_preprocess", "-d", "500", *SETTINGS, *one)
    run("nnUNetv2_train", *TRAINED.split())
    before = read_rows(campaign)

    model = str(paths.results / "Dataset500_campaign/SparseTrainer__nnsparseSmallPlans__2d")
    network = ("--model", model, "-f", "0", "-device", "cpu")
    more = ("--budget", "9", "--selector", "clasp_pe", "--prefill_prediction")
    run("nnsparse_worklist", "extend", "campaign", *more, *network, *one)
    after = read_rows(campaign)
    chosen = {(row["case"], row["slice"]) for row in after if row["round"] == "2"}
    assert len(chosen) == 9
    assert chosen.isdisjoint((row["case"], row["slice"]) for row in before)
    refused = run("nnsparse_import", "campaign", "--overwrite", *one, status=2)
    assert "are as the network predicted, which nobody has changed or confirmed" in refused
    annotate(campaign, tmp_path / "truth")
    confirm_predictions(campaign)
    run("nnsparse_import", "campaign", "--overwrite", *one)
    run("nnsparse_plan_and_preprocess", "-d", "500", *SETTINGS, "--overwrite", *one)
    run("nnUNetv2_train", *TRAINED.split())

    filling = ("--method", "network", "--min_confidence", "0.5")
    made = run("nnsparse_interpolate", "-d", "500", *filling, *network, *one)
    (filled,) = paths.raw.glob("Dataset501_*")
    assert filled.name in made
    sparse = paths.raw / "Dataset500_campaign"
    for label in sorted((sparse / "labelsTr").glob("*.nii.gz")):
        annotated, dense = _voxels(label), _voxels(filled / "labelsTr" / label.name)
        np.testing.assert_array_equal(annotated[annotated != 3], dense[annotated != 3])
    run("nnsparse_plan_and_preprocess", "-d", "501", *SETTINGS, *one)
    run("nnUNetv2_train", filled.name, *TRAINED.split()[1:])
    student = "-d 501 -c 2d -f 0 -tr SparseTrainer -p nnsparseSmallPlans -device cpu"
    run("nnUNetv2_predict", *student.split(), "-i", "test", "-o", "predictions", *IN_TURN)
    scored = run("nnsparse_evaluate", "test_truth", "predictions", *one, "-l", "1", "2")
    assert "batched" in scored


@pytest.mark.slow
@pytest.mark.skipif(
    not (Path(os.environ.get("NNSPARSE_REAL_DATA", "")) / "Dataset004_Hippocampus").is_dir(),
    reason="NNSPARSE_REAL_DATA names no folder with Dataset004_Hippocampus",
)
def test_on_the_hippocampus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = NnUNetPaths.below(tmp_path / "nnunet")
    paths.make_folders()
    use_paths(paths, monkeypatch)
    monkeypatch.chdir(tmp_path)
    data = Path(os.environ["NNSPARSE_REAL_DATA"]) / "Dataset004_Hippocampus"
    images = sorted((data / "imagesTr").glob("*.nii.gz"))[:12]
    Path("volumes.txt").write_text("\n".join(map(str, images)), "utf-8")
    run(
        *("nnsparse_worklist", "make", "volumes.txt", "-o", "campaign", "--channels", "MRI"),
        *("--labels", "anterior", "posterior", "--rho", "0.1", "--selector", "ual"),
    )
    campaign = tmp_path / "campaign"
    annotate(campaign, data / "labelsTr")
    run("nnsparse_import", "campaign")
    for case_id in {row["case"] for row in read_rows(campaign)}:
        label = _voxels(paths.raw / "Dataset500_campaign" / "labelsTr" / f"{case_id}.nii.gz")
        truth = _voxels(data / "labelsTr" / f"{case_id}.nii.gz")
        known = label != 3
        np.testing.assert_array_equal(label[known], truth[known])
        slices = {int(r["slice"]) for r in read_rows(campaign) if r["case"] == case_id}
        assert set(np.flatnonzero(known.any(axis=(0, 1)))) == slices
    run("nnsparse_plan_and_preprocess", "-d", "500", *SETTINGS)
    assert "0 broken" in run("nnsparse_doctor", "-d", "500", "--no_picture")


def _voxels(file: Path) -> np.ndarray:
    return np.asarray(nibabel.load(file).dataobj)  # type: ignore[attr-defined]
