"""Against what nnU-Net itself predicts of the same files."""

import contextlib
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from trained_models import LABELS, LINEAR, REGIONS, dataset_json, plans, write_model

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.prediction import probability_slab as module
from nnunet_sparse.prediction.loaded_network import LoadedNetwork
from nnunet_sparse.prediction.probability_slab import ProbabilitySlab, probability_slabs
from nnunet_sparse.prediction.trained_network import TrainedNetwork

CPU = torch.device("cpu")
READ = partial(read_image, reader="SimpleITKIO")
# nnU-Net rounds logits to half precision
PRECISION = 5e-4


def of_nnunet(model: Path, fold: int, image: Path) -> tuple[np.ndarray, np.ndarray]:
    """Label (z, y, x) and probabilities (heads, z, y, x)."""
    with contextlib.redirect_stdout(io.StringIO()):
        predictor = nnUNetPredictor(device=CPU, allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(model), (fold,))
        (found,) = predictor.predict_from_files_sequential(
            [[str(image)]], None, save_probabilities=True
        )
    return found


def slabs_of(model: Path, image: Path, axis: int, scratch: Path) -> list[ProbabilitySlab]:
    loaded = LoadedNetwork(TrainedNetwork.open(model), CPU)
    prepared = loaded.prepare([image], READ)
    return list(probability_slabs(loaded, prepared, axis, "case", scratch))


def joined(slabs: list[ProbabilitySlab], axis: int, of: str) -> np.ndarray:
    """What slabs hold, on the image's grid."""
    parts = [getattr(slab, of) for slab in slabs]
    dim = parts[0].ndim - 3
    return np.moveaxis(torch.cat(parts, dim).numpy(), dim, axis + dim)


@pytest.mark.parametrize(
    ("axis", "folds", "labels", "options"),
    [
        (0, (0,), LABELS, {}),
        (1, (0, 1), LABELS, {"transpose": (2, 0, 1)}),
        (2, (0,), REGIONS, {"transpose": (1, 2, 0), "spacing": (6, 1.2, 1.2)}),
        (0, (0,), LABELS, {"patch": (8, 8), "transpose": (2, 1, 0), "masked": True}),
        (1, (0, 1), REGIONS, {"patch": (8, 8)}),
        (0, (0,), LABELS, {"arguments": LINEAR | {"order": 3}}),
        (2, (0,), LABELS, {"spacing": (2.0, 1.5, 1.0)}),
    ],
)
def test_probabilities_and_labels_are_nnunets(
    axis: int,
    folds: tuple[int, ...],
    labels: dict[str, Any],
    options: dict[str, Any],
    bordered_image: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SLAB_BYTES", 4000)
    model = write_model(tmp_path, plans(**options), dataset_json(labels), folds)
    slabs = slabs_of(model, bordered_image, axis, tmp_path)
    theirs = [of_nnunet(model, fold, bordered_image) for fold in folds]
    mean = joined(slabs, axis, "mean")
    np.testing.assert_allclose(mean, np.mean([each[1] for each in theirs], axis=0), atol=PRECISION)
    if len(folds) == 1:
        assert (joined(slabs, axis, "label") == theirs[0][0]).all()
    of_members = []
    for _, p in theirs:
        parts = -p * np.log(np.maximum(p, 1e-30))
        if labels == REGIONS:
            parts -= (1 - p) * np.log(np.maximum(1 - p, 1e-30))
        of_members.append(parts.sum(axis=0))
    found = joined(slabs, axis, "member_entropy")
    np.testing.assert_allclose(found, np.mean(of_members, axis=0), atol=10 * PRECISION)
    assert list(tmp_path.iterdir()) == [model.parent]  # no logits are left


def slab(mean: list[list[float]], order: tuple[int, ...] | None = None) -> ProbabilitySlab:
    """Voxels in a row; (heads, voxels)."""
    probabilities = torch.tensor(mean)[:, None, None]
    return ProbabilitySlab(0, probabilities, torch.zeros(probabilities.shape[1:]), order)


def test_classes_worked_by_hand() -> None:
    voxels = slab([[1.0, 0.5, 0.25], [0.0, 0.5, 0.25], [0.0, 0.0, 0.5]])
    assert voxels.label.flatten().tolist() == [0, 0, 2]
    assert voxels.confidence.flatten().tolist() == [1.0, 0.5, 0.5]
    parts = voxels.head_entropy()[:, 0, 0]
    half, quarter = 0.5 * np.log(2), 0.25 * np.log(4)
    expected = [[0, half, quarter], [0, half, quarter], [0, 0, half]]
    np.testing.assert_allclose(parts.numpy(), expected, atol=1e-6)
    assert torch.equal(voxels.class_entropy(voxels.head_entropy(), 3)[:, 0, 0], parts)


def test_regions_worked_by_hand() -> None:
    """The whole paints 1, the core paints 2 over it."""
    voxels = slab([[0.9, 0.75, 0.25], [0.75, 0.25, 0.125]], (1, 2))
    assert voxels.label.flatten().tolist() == [2, 1, 0]
    assert voxels.confidence.flatten().tolist() == [0.75, 0.75, 0.75]
    quarter = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    by_label = voxels.class_entropy(voxels.head_entropy(), 3)[:, 0, 0]
    assert by_label[1, 1:].tolist() == pytest.approx([quarter, quarter])
    assert by_label[2, :2].tolist() == pytest.approx([quarter, quarter])
    assert by_label[0, 1:].tolist() == pytest.approx([quarter, quarter])


def test_only_some_slices_are_held_at_once(
    bordered_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes are bounded, whatever the number of slices; one slice is the least."""
    model = write_model(tmp_path)
    of_slice = 3 * 4 * 14 * 11
    for bound in (1, 4 * of_slice, 2**30):
        monkeypatch.setattr(module, "_SLAB_BYTES", bound)
        slabs = slabs_of(model, bordered_image, 0, tmp_path)
        assert [s.first for s in slabs] == list(range(0, 9, max(1, min(9, bound // of_slice))))
        assert all(s.mean.numel() * 4 <= max(bound, of_slice) for s in slabs)
