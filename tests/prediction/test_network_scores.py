import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from trained_models import REGIONS, dataset_json, plans, write_model

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.prediction import network_scores as module
from nnunet_sparse.prediction.loaded_network import LoadedNetwork
from nnunet_sparse.prediction.network_scores import network_scores
from nnunet_sparse.prediction.pooling import Pooling
from nnunet_sparse.prediction.probability_slab import probability_slabs
from nnunet_sparse.prediction.slice_scores import SliceScores
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.errors import SparseError

READ = partial(read_image, reader="SimpleITKIO")


def scores(
    model: Path, images: dict[str, Path], cache: Path, axis: int = 0, pooling: Pooling | None = None
) -> dict[str, SliceScores]:
    network = TrainedNetwork.open(model)
    files = {case_id: (file,) for case_id, file in images.items()}
    return network_scores(network, files, axis, READ, cache, pooling=pooling, device="cpu")


def same(one: SliceScores, other: SliceScores) -> bool:
    return all(np.array_equal(value, vars(other)[name]) for name, value in vars(one).items())


@pytest.mark.parametrize("labels", [None, REGIONS])
def test_scores_follow_from_the_probabilities(
    bordered_image: Path, tmp_path: Path, labels: dict[str, int] | None
) -> None:
    content = dataset_json() if labels is None else dataset_json(labels)
    model = write_model(tmp_path / "results", plans(), content, (0, 1, 2), 40.0)
    found = scores(model, {"case": bordered_image}, tmp_path / "cache", axis=1)["case"]
    loaded = LoadedNetwork(TrainedNetwork.open(model), torch.device("cpu"))
    prepared = loaded.prepare([bordered_image], READ)
    slabs = list(probability_slabs(loaded, prepared, 1, "case", tmp_path))
    p = torch.cat([slab.mean for slab in slabs], dim=1).double().numpy()
    of_members = torch.cat([slab.member_entropy for slab in slabs]).double().numpy()
    parts = -p * np.log(np.maximum(p, 1e-300))
    if labels is not None:
        parts -= (1 - p) * np.log(np.maximum(1 - p, 1e-300))
    entropy = parts.sum(axis=0)
    assert found.num_slices == 14
    assert {value.dtype for value in vars(found).values()} == {np.dtype(float), np.dtype(int)}
    np.testing.assert_allclose(found.entropy, entropy.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(found.bald, (entropy - of_members).mean(axis=(1, 2)), atol=1e-5)
    assert (found.bald > 0).any()
    assert (found.bald >= 0).all()
    if labels is None:
        np.testing.assert_allclose(found.class_entropy.sum(axis=1), found.entropy, atol=1e-5)
    assert (found.predicted.sum(axis=1) == 9 * 11).all()
    assert (found.predicted > 0).sum() > 14  # more than background
    assert not found.entropy[:3].any()  # beyond what nnU-Net looks at


def test_one_fold_has_no_mutual_information(bordered_image: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "results", plans(patch=(8, 8)))
    found = scores(model, {"case": bordered_image}, tmp_path / "cache")["case"]
    assert not found.bald.any()
    assert found.entropy.any()


def test_known_scores_are_read_until_network_image_or_settings_change(
    bordered_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cache = write_model(tmp_path / "results", folds=(0, 1)), tmp_path / "cache"
    image = tmp_path / "case_0000.nii.gz"
    shutil.copy(bordered_image, image)
    predicted = []
    original = module.score_image

    def counted(*args: object) -> SliceScores:
        predicted.append(args[3])
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "score_image", counted)
    first = scores(model, {"a": image}, cache)["a"]
    assert same(scores(model, {"a": image, "b": image}, cache)["a"], first)
    assert predicted == ["a", "b"]
    scores(model, {"a": image}, cache, pooling=Pooling("top", share=0.2))
    scores(model, {"a": image}, cache, axis=1)
    assert predicted == ["a", "b", "a", "a"]
    again = scores(model, {"a": image}, cache)["a"]
    assert same(again, first)
    (cache / "a.npz").write_bytes(b"damaged")
    assert same(scores(model, {"a": image}, cache)["a"], first)
    shutil.copy(model / "fold_1/checkpoint_final.pth", model / "fold_0/checkpoint_final.pth")
    assert not same(scores(model, {"a": image}, cache)["a"], first)
    assert len(predicted) == 7
    assert sorted(path.name for path in cache.iterdir()) == ["a.npz", "b.npz"]


def test_a_killed_call_goes_on_where_it_was(
    bordered_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cache = write_model(tmp_path / "results", folds=(0, 1)), tmp_path / "cache"
    images = {"a": bordered_image, "b": bordered_image}
    original = module.score_image

    def killed(*args: object) -> SliceScores:
        if args[3] == "b":
            raise KeyboardInterrupt
        return original(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(module, "score_image", killed)
        with pytest.raises(KeyboardInterrupt):
            scores(model, images, cache)
    assert [path.name for path in cache.iterdir()] == ["a.npz"]
    inode = (cache / "a.npz").stat().st_ino
    found = scores(model, images, cache)
    assert same(found["a"], found["b"])
    assert (cache / "a.npz").stat().st_ino == inode


def test_a_full_disk_keeps_what_is_known(
    bordered_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cache = write_model(tmp_path / "results"), tmp_path / "cache"
    scores(model, {"a": bordered_image}, cache)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"No space left.*b\.npz"):
        scores(model, {"a": bordered_image, "b": bordered_image}, cache)
    assert [path.name for path in cache.iterdir()] == ["a.npz"]


def test_values_that_are_no_numbers_are_refused(
    bordered_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As numbers that are too large for half precision may give, whatever the weights are."""
    model = write_model(tmp_path / "results")

    def predict(_: nnUNetPredictor, image: torch.Tensor) -> torch.Tensor:
        return torch.full((2, *image.shape[1:]), torch.nan, dtype=torch.float16)

    monkeypatch.setattr(nnUNetPredictor, "predict_sliding_window_return_logits", predict)
    with pytest.raises(SparseError, match=r"fold 0 of .* gives values for a that are no finite"):
        scores(model, {"a": bordered_image}, tmp_path / "cache")


def test_another_number_of_channels_is_refused(bordered_image: Path, tmp_path: Path) -> None:
    model = write_model(
        tmp_path / "results", plans(channels=2), dataset_json(channels=("T1", "T2"))
    )
    with pytest.raises(SparseError, match="holds 1 channels, the network takes 2"):
        scores(model, {"a": bordered_image}, tmp_path / "cache")


def test_weights_of_another_network_are_refused(bordered_image: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "results")
    content = json.loads((model / "dataset.json").read_text())
    content["labels"]["third"] = 3
    (model / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(SparseError, match=r"checkpoint_final\.pth does not fit the plans") as found:
        scores(model, {"a": bordered_image}, tmp_path / "cache")
    assert "\n" not in str(found.value)
