"""Tiny dense data sets that the tests make for themselves."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from nnunet_shortcuts import draw_few_samples, draw_no_progress
from tiny import random_label, write_volume
from training_fixtures import (
    recipe_trainable,
    recipe_trainable_once,
    tiny_paths,
    trainable,
    trainable_once,
)

from nnunet_sparse.system.paths import ENV_NAMES, NnUNetPaths

# here, so that those of a session are made once for all folders
__all__ = ["recipe_trainable", "recipe_trainable_once", "tiny_paths", "trainable", "trainable_once"]

# its limits on the seconds of an example are missed where others use the machine
settings.register_profile("no_clocks", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no_clocks")


@pytest.fixture(autouse=True)
def few_samples(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few voxels for fingerprints, where tests have imported what measures them."""
    is_imported = "nnunet_sparse.planners.sparse_fingerprint" in sys.modules
    if is_imported and request.node.get_closest_marker("real_data") is None:
        draw_few_samples(monkeypatch)


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no progress of trainings, where tests have imported what draws it."""
    if "nnunetv2.training.logging.nnunet_logger" in sys.modules:
        draw_no_progress(monkeypatch)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NnUNetPaths:
    """nnU-Net's three folders, empty, and exported."""
    result = NnUNetPaths.below(tmp_path / "nnunet")
    result.make_folders()
    for name, value in result.environment().items():
        monkeypatch.setenv(name, value)
    return result


@pytest.fixture
def no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory on a machine where nothing is set up."""
    for name in ENV_NAMES:
        monkeypatch.setenv(name, "")  # so that what a test exports is taken back
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


BaseMaker = Callable[..., Path]


@pytest.fixture
def make_base(paths: NnUNetPaths) -> BaseMaker:
    """Function that writes a small dense data set into ``nnUNet_raw``."""

    def make(
        name: str = "Dataset004_Tiny",
        *,
        num_train: int = 10,
        num_test: int = 0,
        shapes: Sequence[tuple[int, int, int]] = ((10, 6, 5), (7, 6, 5)),
        ending: str = ".nii.gz",
        dtype: Any = np.uint8,
        channels: int = 1,
        labels: dict[str, Any] | None = None,
        extra: dict[str, Any] | None = None,
        **geometry: Any,
    ) -> Path:
        folder = paths.raw / name
        rng = np.random.default_rng(7)
        labels = labels or {"background": 0, "organ": 1, "lesion": 2}
        for part, count in (("Tr", num_train), ("Ts", num_test)):
            for i in range(count):
                case_id, shape = f"{part.lower()}_{i:02d}", shapes[i % len(shapes)]
                label = random_label(rng, shape).astype(dtype)
                write_volume(folder / f"labels{part}" / f"{case_id}{ending}", label, **geometry)
                for channel in range(channels):
                    image = rng.normal(size=shape).astype(np.float32)
                    file = folder / f"images{part}" / f"{case_id}_{channel:04d}{ending}"
                    write_volume(file, image, **geometry)
        content = {
            "channel_names": {str(c): "MR" for c in range(channels)},
            "labels": labels,
            "numTraining": num_train,
            "file_ending": ending,
            **(extra or {}),
        }
        (folder / "dataset.json").write_text(json.dumps(content))
        return folder

    return make


@pytest.fixture
def short_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks without labels of the presets ``tiny`` and ``published`` train for a moment."""
    from nnunet_sparse.features.mae_presets import MAE_PRESETS, MaePreset, MaeSize
    from nnunet_sparse.interpolation.interpolator_presets import (
        INTERPOLATOR_PRESETS,
        InterpolatorPreset,
    )

    preset = MaePreset(MaeSize(8, 1, 2, 8, 1, 2), 16, 8, 2000, 5, 1, 1e-3)
    monkeypatch.setitem(MAE_PRESETS, "tiny", preset)
    monkeypatch.setitem(INTERPOLATOR_PRESETS, "tiny", InterpolatorPreset(3, 8, 2, 1e-3, 0.5, 1))
    published = replace(
        INTERPOLATOR_PRESETS["published"], num_slices=3, max_side=8, num_steps=2, radius=1
    )
    monkeypatch.setitem(INTERPOLATOR_PRESETS, "published", published)


@pytest.fixture
def short(short_networks: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """The same, without pictures, whose drawing takes longer than such a training."""
    from nnunet_sparse.features.mae_request import MaeRequest
    from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest
    from nnunet_sparse.system import figures

    for kind in (MaeRequest, InterpolatorRequest):
        monkeypatch.setattr(kind, "draw", lambda *arguments: arguments[-1].touch())
    monkeypatch.setattr(figures, "draw_loss", lambda _, output, __: output.touch())
