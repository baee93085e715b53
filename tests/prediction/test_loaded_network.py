import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import BaseMaker
from trained_models import plans, write_model

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.stored_images import store_folder
from nnunet_sparse.planners.image_store import store_images
from nnunet_sparse.prediction.loaded_network import LoadedNetwork
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

CPU = torch.device("cpu")
READ = partial(read_image, reader="SimpleITKIO")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"previous_stage": "3d_lowres"}, "needs what 3d_lowres predicts"),
        ({"architecture": {}}, "cannot be used"),
        ({"patch_size": "none"}, "cannot be used|fails to predict"),
        ({"spacing": [0, 0, 0]}, "cannot preprocess|fails to predict"),
    ],
)
def test_plans_that_cannot_be_used_are_refused_in_one_line(
    change: dict[str, Any], message: str, bordered_image: Path, tmp_path: Path
) -> None:
    model = write_model(tmp_path)
    content = plans()
    content["configurations"]["3d"] |= change
    (model / "plans.json").write_text(json.dumps(content))
    with pytest.raises(SparseError, match=message) as found:  # noqa: PT012
        loaded = LoadedNetwork(TrainedNetwork.open(model), CPU)
        image = loaded.prepare([bordered_image], READ)
        with loaded.logits(image, 0, "case", tmp_path):
            pass
    assert "\n" not in str(found.value)


def test_an_unknown_trainer_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path)
    file = model / "fold_0" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False) | {"trainer_name": "NobodysTrainer"}
    torch.save(content, file)
    with pytest.raises(SparseError, match=r"cannot be used: .*NobodysTrainer"):
        LoadedNetwork(TrainedNetwork.open(model), CPU)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value: float, tmp_path: Path) -> None:
    """Of a training that went astray: all slices would be as uncertain."""
    model = write_model(tmp_path)
    file = model / "fold_0" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False)
    next(iter(content["network_weights"].values())).view(-1)[0] = value
    torch.save(content, file)
    with pytest.raises(SparseError, match=r"final\.pth holds weights that are no finite numbers"):
        LoadedNetwork(TrainedNetwork.open(model), CPU)


def test_no_space_for_the_logits_of_several_folds(
    bordered_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = LoadedNetwork(TrainedNetwork.open(write_model(tmp_path, folds=(0, 1))), CPU)
    image = loaded.prepare([bordered_image], READ)

    class Full:
        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, _: object) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with (
        pytest.raises(OSError, match=f"No space left.*{tmp_path}"),
        loaded.logits(image, 0, "case", tmp_path),
    ):
        pass


def test_trainers_of_ours_are_found_without_setting_anything_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("nnUNet_extTrainer", raising=False)
    model = write_model(tmp_path)
    file = model / "fold_0" / "checkpoint_final.pth"
    torch.save(torch.load(file, weights_only=False) | {"trainer_name": "SparseTrainer"}, file)
    LoadedNetwork(TrainedNetwork.open(model), CPU)


def test_images_that_are_preprocessed_already_are_taken_from_the_store(
    make_base: BaseMaker, paths: NnUNetPaths
) -> None:
    """As the planners keep them; another image, or plans that preprocess otherwise, find none."""
    raw = RawDataset.open(make_base(num_train=2))
    content, owner = plans(), paths.preprocessed / raw.name
    loaded = LoadedNetwork(TrainedNetwork.open(write_model(paths.results, content)), CPU)
    case = raw.training["tr_00"]
    expected = loaded.prepare(case.images, READ)
    store = store_folder(owner, content, "3d")
    store_images({"tr_00": case}, store, content, "3d", 1)

    def never(_: object) -> Any:
        raise AssertionError

    found = loaded.prepare(case.images, never, "tr_00", [paths.preprocessed / "none", owner])
    assert torch.equal(found.data, expected.data)
    with (
        loaded.logits(found, 0, "tr_00", paths.raw) as one,
        loaded.logits(expected, 0, "tr_00", paths.raw) as other,
    ):
        np.testing.assert_array_equal(one[0].planes(0, 7, CPU), other[0].planes(0, 7, CPU))
    with pytest.raises(AssertionError):
        loaded.prepare(raw.training["tr_01"].images, never, "tr_00", [owner])
    (store / "tr_00.b2nd").write_bytes(b"damaged")
    again = loaded.prepare(case.images, READ, "tr_00", [owner])
    assert torch.equal(again.data, expected.data)
