"""nnU-Net's own commands on a data set of ``nnsparse_make_dataset --folds 5``, to the end."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunetv2.ensembling.ensemble import entry_point_ensemble_folders
from nnunetv2.evaluation.find_best_configuration import find_best_configuration_entry_point
from nnunetv2.inference.predict_from_raw_data import predict_entry_point
from nnunetv2.postprocessing.remove_connected_components import entry_point_apply_postprocessing
from nnunetv2.run.run_training import run_training_entry
from tiny import read_json, write_volume
from training_fixtures import SHORT, use_paths, use_threads

from nnunet_sparse.dataset_tools.make_dataset_command import main as make_dataset
from nnunet_sparse.planners.plan_and_preprocess import plan_and_preprocess
from nnunet_sparse.system.paths import NnUNetPaths

PLANS, TRAINER = "nnsparseSmallPlans", "SparseTrainer"
CONFIGURATIONS = ("2d", "3d_fullres")
FOLDS = (0, 1, 2, 3, 4)


def write_base(paths: NnUNetPaths) -> None:
    """Two time points each of seven patients."""
    folder, rng = paths.raw / "Dataset004_Ball", np.random.default_rng(0)
    for case_id in (f"P{p}_t{t}" for p in range(7) for t in range(2)):
        label = np.zeros((12, 24, 24), np.uint8)
        label[2:10, 6:18, 6:16] = 1
        image = 100 * label + rng.normal(0, 10, label.shape)
        image_file = folder / "imagesTr" / f"{case_id}_0000.nii.gz"
        write_volume(image_file, image.astype(np.float32), spacing=(1, 1, 1))
        write_volume(folder / "labelsTr" / f"{case_id}.nii.gz", label, spacing=(1, 1, 1))
    content = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "ball": 1},
        "numTraining": 14,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


def make_small(plans: Path) -> None:
    """Give networks few channels and batches few patches: ten of them are trained."""
    content = read_json(plans)
    for configuration in content["configurations"].values():
        configuration["batch_size"] = 2
        arguments = configuration["architecture"]["arch_kwargs"]
        arguments["features_per_stage"] = [4] * arguments["n_stages"]
    plans.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.slow
def test_stock_commands_run_through(paths: NnUNetPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(entry_point: Any, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        entry_point()

    use_paths(paths, monkeypatch)
    write_base(paths)
    sizes = ("--val", "1", "--test", "1", "--rho", "0.3", "-np", "1")
    assert make_dataset(["-d", "4", *sizes, "--folds", "5", "--group", r"^(P\d)_"]) == 0
    (raw,) = paths.raw.glob("Dataset500_*")
    name, num_cases = raw.name, 10
    folds = read_json(raw / "splits_final.json")
    for fold in folds:
        assert len(fold["val"]) == 2
        assert len({case_id[:2] for case_id in fold["val"]}) == 1
    plans = plan_and_preprocess(
        paths,
        name,
        planner="SmallPlanner",
        configurations=list(CONFIGURATIONS),
        settings={**SHORT, "num_epochs": 1},
        num_processes=1,
    )
    make_small(plans)

    use_threads(monkeypatch)
    of_model = ("-tr", TRAINER, "-p", PLANS)
    for configuration in CONFIGURATIONS:
        for fold in FOLDS:
            call(
                run_training_entry,
                *(name, configuration, fold, *of_model, "--npz", "-device", "cpu"),
            )
    models = {c: paths.results / name / f"{TRAINER}__{PLANS}__{c}" for c in CONFIGURATIONS}
    for model in models.values():
        for fold in FOLDS:
            summary = read_json(model / f"fold_{fold}" / "validation" / "summary.json")
            # 12 slices, of which 0.3 are annotated, and nothing else is scored
            for case in summary["metric_per_case"]:
                counts = case["metrics"]["1"]
                assert counts["TP"] + counts["FP"] + counts["FN"] + counts["TN"] == 4 * 24 * 24

    call(
        find_best_configuration_entry_point,
        *(name, "-c", *CONFIGURATIONS, *of_model, "-f", *FOLDS, "-np", 1),
    )
    found = read_json(paths.results / name / "inference_information.json")
    assert len(found["all_results"]) == 3  # both, and their ensemble
    for model in models.values():
        merged = read_json(model / "crossval_results_folds_0_1_2_3_4" / "summary.json")
        assert len(merged["metric_per_case"]) == num_cases

    test, outputs = raw / "imagesTs", []
    for configuration in CONFIGURATIONS:
        outputs.append(paths.results / configuration)
        options = ("-c", configuration, *of_model, "-f", *FOLDS, "--save_probabilities")
        sequential = ("-npp", 0, "-nps", 0, "-device", "cpu")
        call(
            predict_entry_point,
            *("-d", name, "-i", test, "-o", outputs[-1], *options, *sequential),
        )
    ensemble, final = paths.results / "ensemble", paths.results / "final"
    call(entry_point_ensemble_folders, "-i", *outputs, "-o", ensemble, "-np", 1)
    best = found["best_model_or_ensemble"]
    call(
        entry_point_apply_postprocessing,
        *("-i", ensemble, "-o", final, "-pp_pkl_file", best["postprocessing_file"]),
        *("-plans_json", best["some_plans_file"], "-np", 1),
    )
    assert names(final) == names(raw / "labelsTs")


def names(folder: Path) -> list[str]:
    """Label files of a folder."""
    return sorted(path.name for path in folder.glob("*.nii.gz"))
