"""Labels that a trained network predicts between annotated slices."""

import contextlib
import io
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import BaseMaker
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from sparse_datasets import make_dataset
from tiny import array, made, read_json, tree
from trained_models import dataset_json, plans, write_model

from nnunet_sparse.dataset_tools import interpolated_labels as module
from nnunet_sparse.dataset_tools.interpolate_command import main
from nnunet_sparse.dataset_tools.interpolated_labels import read_provenance
from nnunet_sparse.dataset_tools.make_dataset import SparseDataset
from nnunet_sparse.interpolation.dense_label import PREDICTED
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.paths import NnUNetPaths

INTERRUPTED = 130


@pytest.fixture
def sparse(paths: NnUNetPaths, make_base: BaseMaker) -> SparseDataset:
    """Two volumes of 7 or 10 slices along axis 0, three of which are annotated."""
    make_base(num_train=5)
    return make_dataset(paths, "4", rho=0.3, s=0.5, axis="0")


@pytest.fixture
def model(paths: NnUNetPaths) -> Path:
    return write_model(paths.results, plans(dataset="Dataset600_Other"), folds=(0, 1), sharpness=20)


def run(*options: object) -> int:
    return main(["-d", "500", "--method", "network", *map(str, options), "-device", "cpu"])


def of_nnunet(model: Path, image: Path) -> np.ndarray:
    """Mean over the folds of nnU-Net's probabilities (heads, z, y, x)."""
    found = []
    for fold in (0, 1):
        with contextlib.redirect_stdout(io.StringIO()):
            predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
            predictor.initialize_from_trained_model_folder(str(model), (fold,))
            predicted = predictor.predict_from_files_sequential([[str(image)]], None, True)
        found.append(predicted[0][1])
    return np.mean(found, axis=0)


def test_what_nnunet_predicts_stands_between_annotated_slices(
    paths: NnUNetPaths, sparse: SparseDataset, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(paths.raw)
    assert run("--model", model, "--min_confidence", 0.6) == 0
    network = TrainedNetwork.open(model)
    (folder,) = paths.raw.glob("Dataset501_*")
    assert folder.name.endswith(f"_fixed_mi_network_{network.digest[:8]}_conf0.6_seed0")
    assert f"made:       {folder}" in capsys.readouterr().out
    assert {k: v for k, v in tree(paths.raw).items() if not k.startswith(folder.name)} == before
    ignore = read_json(folder / "dataset.json")["labels"]["ignore"]
    num_unsure = 0
    for case_id, case in sparse.selection.cases.items():
        known = np.isin(np.arange(case.num_slices), case.slices)
        label = array(folder / f"labelsTr/{case_id}.nii.gz")
        was = array(made(sparse) / f"labelsTr/{case_id}.nii.gz")
        np.testing.assert_array_equal(label[known], was[known])
        p = of_nnunet(model, paths.raw / f"Dataset004_Tiny/imagesTr/{case_id}_0000.nii.gz")
        unsure = p.max(axis=0) < 0.6
        expected = np.where(unsure, ignore, p.argmax(axis=0))
        clear = np.abs(p.max(axis=0) - 0.6) > 0.002  # half precision
        np.testing.assert_array_equal(
            np.where(clear, label, 0)[~known], np.where(clear, expected, 0)[~known]
        )
        num_unsure += int(unsure[~known].sum())
        origin = read_provenance(folder, case_id)
        assert origin["source"].tolist() == [i if k else PREDICTED for i, k in enumerate(known)]
        assert origin["hops"].tolist() == [0 if k else PREDICTED for k in known]
        np.testing.assert_allclose(
            origin["confidence"][~known], p.max(axis=0)[~known], atol=0.5 / 255 + 0.002
        )
    assert num_unsure
    record = read_json(folder / "interpolation.json")
    assert record["network"] == network.digest
    assert record["model"] == {
        "dataset": "Dataset600_Other",
        "model": model.name,
        "folds": [0, 1],
        "checkpoint": "checkpoint_final.pth",
        "digest": network.digest,
    }
    selection = read_json(folder / "selection.json")
    assert selection["variant"]["interpolation"]["model"] == network.digest
    first = tree(folder)
    assert run("--model", model, "--min_confidence", 0.6) == 0
    assert "exists:" in capsys.readouterr().out
    assert tree(folder) == first


def test_labels_of_other_slices_are_never_read(
    paths: NnUNetPaths, sparse: SparseDataset, model: Path
) -> None:
    assert run("--model", model) == 0
    (folder,) = paths.raw.glob("Dataset501_*")
    files = {case_id: folder / f"labelsTr/{case_id}.nii.gz" for case_id in sparse.selection.cases}
    first = {case_id: array(file) for case_id, file in files.items()}
    rng = np.random.default_rng(0)
    for case_id, case in sparse.selection.cases.items():
        file = paths.raw / f"Dataset004_Tiny/labelsTr/{case_id}.nii.gz"
        image = sitk.ReadImage(str(file))
        label = sitk.GetArrayFromImage(image)
        for i in set(range(case.num_slices)) - set(case.slices):
            label[i] = rng.permutation(label[i].ravel()).reshape(label[i].shape)
        other = sitk.GetImageFromArray(label)
        other.CopyInformation(image)
        sitk.WriteImage(other, str(file))
    make_dataset(paths, "4", rho=0.3, s=0.5, axis="0", overwrite=True)
    assert run("--model", model, "--overwrite") == 0
    for case_id, label in first.items():
        np.testing.assert_array_equal(array(files[case_id]), label)


@pytest.mark.usefixtures("sparse")
def test_models_and_folds_have_data_sets_of_their_own(paths: NnUNetPaths, model: Path) -> None:
    other = write_model(paths.results, plans(dataset="Dataset601_More", patch=(8, 8)))
    for options in (("--model", model), ("--model", model, "-f", 1), ("--model", other)):
        assert run(*options) == 0
    names = {path.name for path in paths.raw.glob("Dataset50[123]_*")}
    assert len(names) == 3
    assert all("_mi_network_" in name and len(name) < 80 for name in names)


def test_a_killed_call_goes_on_at_the_case_where_it_was(
    paths: NnUNetPaths, sparse: SparseDataset, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = module._write_label, []

    def write_one(job: Any, **options: Any) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(job.case.case_id)
        write(job, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module, "_write_label", write_one)
        assert run("--model", model) == INTERRUPTED
    assert not list(paths.raw.glob("Dataset501_*"))

    def write_others(job: Any, **options: Any) -> None:
        assert job.case.case_id not in written
        write(job, **options)

    monkeypatch.setattr(module, "_write_label", write_others)
    assert run("--model", model) == 0
    (folder,) = paths.raw.glob("Dataset501_*")
    assert all(
        (folder / f"labelsTr/{case_id}.nii.gz").is_file() for case_id in sparse.selection.cases
    )
    assert not list(folder.rglob("*.staging*"))


@pytest.mark.usefixtures("sparse")
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"dataset": dataset_json({"background": 0, "organ": 1})}, "trained with the labels"),
        ({"dataset": dataset_json(channels=("CT",))}, "trained with the channels CT"),
        ({"folds": ()}, "no fold in"),
        ({"sharpness": float("nan")}, "no finite numbers: train it again"),
    ],
)
def test_models_that_do_not_fit_are_refused(
    paths: NnUNetPaths, other: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(paths.results, **other)
    before = tree(paths.raw)
    assert run("--model", model) == 2
    assert message in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
    assert tree(paths.raw) == before


@pytest.mark.usefixtures("sparse")
def test_options_that_do_not_go_together(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--method", "network"], "--model and --method network go together"),
        (["--method", "shape", "--model", str(model)], "--model and --method network go together"),
        (["--method", "shape", "-f", "0"], "-f works with --model"),
        (["--method", "network", "--model", str(model), "--verify"], "verify works with"),
        (["--method", "network", "--model", "nowhere"], "nowhere is no folder"),
    ):
        assert main(["-d", "500", *options]) == 2
        assert message in capsys.readouterr().err


def test_a_model_that_was_trained_on_test_cases_is_told(
    paths: NnUNetPaths,
    sparse: SparseDataset,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its data set is the base, and there are no splits: all cases."""
    model = write_model(paths.results)
    with caplog.at_level(logging.WARNING):
        assert run("--model", model) == 0
    (test,) = sparse.split.test
    assert f"was trained on test cases: {test};" in caplog.text
    caplog.clear()
    folder = paths.preprocessed / "Dataset004_Tiny"
    folds = [{"train": list(sparse.split.train), "val": list(sparse.split.val)}]
    (folder / "splits_final.json").write_text(json.dumps(folds))
    shutil.rmtree(next(paths.raw.glob("Dataset501_*")))
    assert run("--model", model) == 0
    assert "test cases" not in caplog.text
