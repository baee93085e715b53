"""A data set that is preprocessed within seconds, and the environment to train on it."""

import json
import multiprocessing
import shutil
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from nnunet_shortcuts import draw_few_samples

from nnunet_sparse.planners.plan_and_preprocess import plan_and_preprocess
from nnunet_sparse.system.env import EXT_TRAINER, ext_trainers_folder
from nnunet_sparse.system.paths import NnUNetPaths

TINY = "Dataset777_Tiny"
CASES = [f"case_{number}" for number in range(8)]
SLICE_AXIS = 1
SHORT = {"num_epochs": 2, "num_iterations_per_epoch": 2, "num_val_iterations_per_epoch": 1}


def write_tiny_dataset(paths: NnUNetPaths) -> str:
    """Write 8 cases of 16 x 24 x 24 with every fourth slice along axis 1 annotated."""
    base, folder = paths.raw / "Dataset776_Base", paths.raw / TINY
    (base / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir(parents=True)
    rng = np.random.default_rng(0)
    mapping = {}
    for case in CASES:
        label = np.zeros((16, 24, 24), np.uint8)
        label[4:12, :, 8:18] = 1
        image = 100 * label + rng.normal(0, 10, label.shape)
        label[:, np.arange(24) % 4 != 0] = 2
        names = (base / "imagesTr" / f"{case}_0000.nii.gz", folder / "labelsTr" / f"{case}.nii.gz")
        for file, array in zip(names, (image.astype(np.float32), label), strict=True):
            sitk.WriteImage(sitk.GetImageFromArray(array), str(file))
        mapping[case] = {
            "images": [f"../{base.name}/imagesTr/{names[0].name}"],
            "label": f"labelsTr/{names[1].name}",
        }
    files = {
        "dataset.json": {
            "channel_names": {"0": "MRI"},
            "labels": {"background": 0, "object": 1, "ignore": 2},
            "numTraining": len(CASES),
            "file_ending": ".nii.gz",
            "dataset": mapping,
        },
        "splits_final.json": [{"train": CASES[:6], "val": CASES[6:]}] * 3,
        "selection.json": {"version": 1, "axis": SLICE_AXIS},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return TINY


def use_paths(paths: NnUNetPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        EXT_TRAINER: str(ext_trainers_folder()),
        "nnUNet_n_proc_DA": "0",
        "nnUNet_def_n_proc": "1",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    for name, value in (paths.environment() | variables).items():
        monkeypatch.setenv(name, value)


class _WithThreads:
    """A way of starting processes whose pools are threads."""

    Pool = ThreadPool

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def use_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pools of nnU-Net be threads instead of processes, each of which imports for seconds."""
    contexts = multiprocessing.get_context
    monkeypatch.setattr(
        multiprocessing, "get_context", lambda method=None: _WithThreads(contexts(method))
    )


def _copied(once: NnUNetPaths, folder: Path, monkeypatch: pytest.MonkeyPatch) -> NnUNetPaths:
    """A copy of nnU-Net's folders below another one, set in the environment."""
    shutil.copytree(once.raw.parent, folder, dirs_exist_ok=True)
    paths = NnUNetPaths.below(folder)
    use_paths(paths, monkeypatch)
    return paths


@pytest.fixture
def tiny_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NnUNetPaths:
    """nnU-Net's folders with the tiny raw data set, set in the environment."""
    paths = NnUNetPaths.below(tmp_path)
    paths.make_folders()
    use_paths(paths, monkeypatch)
    write_tiny_dataset(paths)
    return paths


@pytest.fixture(scope="session")
def trainable_once(tmp_path_factory: pytest.TempPathFactory) -> NnUNetPaths:
    paths = NnUNetPaths.below(tmp_path_factory.mktemp("trainable"))
    paths.make_folders()
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_paths(paths, monkeypatch)
        draw_few_samples(monkeypatch)
        plan_and_preprocess(
            paths,
            write_tiny_dataset(paths),
            planner="SmallPlanner",
            configurations=["2d"],
            settings=SHORT,
            num_processes=1,
        )
    return paths


@pytest.fixture
def trainable(
    trainable_once: NnUNetPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> NnUNetPaths:
    """A copy of nnU-Net's folders with the tiny data set preprocessed for SmallPlanner's 2d."""
    return _copied(trainable_once, tmp_path, monkeypatch)


PAPER_PLANS = "nnsparsePaperATLASPlans_scale0.1"


@pytest.fixture(scope="session")
def recipe_trainable_once(tmp_path_factory: pytest.TempPathFactory) -> NnUNetPaths:
    paths = NnUNetPaths.below(tmp_path_factory.mktemp("recipe_trainable"))
    paths.make_folders()
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_paths(paths, monkeypatch)
        draw_few_samples(monkeypatch)
        plan_and_preprocess(
            paths,
            write_tiny_dataset(paths),
            planner="PaperPlannerATLAS",
            scale=0.1,
            configurations=["2d", "3d_fullres"],
            settings={"num_iterations_per_epoch": 2, "num_val_iterations_per_epoch": 1},
            num_processes=1,
        )
    return paths


@pytest.fixture
def recipe_trainable(
    recipe_trainable_once: NnUNetPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> NnUNetPaths:
    """A copy of nnU-Net's folders with the tiny data set preprocessed for the paper's trainers."""
    return _copied(recipe_trainable_once, tmp_path, monkeypatch)
