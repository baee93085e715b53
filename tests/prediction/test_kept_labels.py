"""Against what nnU-Net itself predicts of the same files."""

import contextlib
import io
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from trained_models import never_background, plans, write_model

from nnunet_sparse.prediction.kept_labels import KeptLabels, read_kept_slice
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.errors import SparseError


def kept(model: Path, folder: Path, axis: int = 0) -> KeptLabels:
    return KeptLabels(TrainedNetwork.open(model), axis, "SimpleITKIO", folder, "cpu")


def of_nnunet(model: Path, image: Path) -> np.ndarray:
    """Label (z, y, x)."""
    with contextlib.redirect_stdout(io.StringIO()):
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(model), (0,))
        (label,) = predictor.predict_from_files_sequential([[str(image)]], None)
    return np.asarray(label)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_those_of_nnunets_label(bordered_image: Path, tmp_path: Path, axis: int) -> None:
    model = write_model(tmp_path / "results", plans(transpose=(2, 0, 1)), sharpness=40.0)
    never_background(model)
    file = kept(model, tmp_path / "features", axis).find("case", [bordered_image])
    label = np.moveaxis(of_nnunet(model, bordered_image), axis, 0)
    assert len(np.unique(label)) > 1
    for index, plane in enumerate(label):
        found = read_kept_slice(file, index)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, plane)
    with pytest.raises(SparseError, match=r"case\.npz, what a network predicts, is missing or"):
        read_kept_slice(file, len(label))
    assert [path.name for path in file.parent.iterdir()] == ["case.npz"]


def test_what_is_known_is_not_predicted_again(
    bordered_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, folder = write_model(tmp_path / "results", plans(patch=(8, 8))), tmp_path / "features"
    image = tmp_path / "case_0000.nii.gz"
    shutil.copy(bordered_image, image)
    predicted = []
    original = nnUNetPredictor.predict_sliding_window_return_logits

    def counted(self: nnUNetPredictor, data: torch.Tensor) -> torch.Tensor:
        predicted.append(data)
        return original(self, data)

    monkeypatch.setattr(nnUNetPredictor, "predict_sliding_window_return_logits", counted)
    file = kept(model, folder).find("a", [image])
    assert kept(model, folder).find("a", [image]) == file
    assert len(predicted) == 1
    for damage in (b"", file.read_bytes()[:-9]):
        file.write_bytes(damage)
        with pytest.raises(SparseError, match="missing or damaged"):
            read_kept_slice(file, 3)
        assert kept(model, folder).find("a", [image]) == file
    assert len(predicted) == 3
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    file.write_bytes(content)
    with pytest.raises(SparseError, match="missing or damaged"):
        list(map(partial(read_kept_slice, file), range(9)))
    # another image under the same name
    kept(model, folder, axis=1).find("a", [image])
    kept(model, folder).find("b", [image])
    before = len(predicted)
    shutil.copy(tmp_path / "case_0000.nii.gz", tmp_path / "copy.nii.gz")
    kept(model, folder).find("b", [tmp_path / "copy.nii.gz"])
    assert len(predicted) == before
    with image.open("ab") as stream:
        stream.write(b"\0")
    kept(model, folder).find("b", [image])
    assert len(predicted) == before + 1


def test_a_network_that_cannot_be_used(tmp_path: Path) -> None:
    model = write_model(tmp_path / "results")
    (model / "fold_0" / "checkpoint_final.pth").write_bytes(b"damaged")
    with pytest.raises(SparseError, match=r"checkpoint_final\.pth is no checkpoint of nnU-Net"):
        kept(model, tmp_path).load()


def test_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = kept(write_model(tmp_path / "results"), tmp_path)
    name = "nnunet_sparse.prediction.loaded_network"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SparseError, match="PyTorch cannot be imported"):
        labels.load()
