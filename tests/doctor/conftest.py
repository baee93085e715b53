"""A small data set, sound unless a test plants a fault, with plans and preprocessed data."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import write_volume

from nnunet_sparse.doctor.examine import examine
from nnunet_sparse.doctor.finding import Diagnosis, Finding
from nnunet_sparse.doctor.subject import open_subject
from nnunet_sparse.system.paths import NnUNetPaths

NAME = "Dataset600_Toy"
CASES = [f"case_{number}" for number in range(6)]
TRAIN, VAL = CASES[:4], CASES[4:]
LABELS = {"background": 0, "left": 1, "right": 2, "ignore": 3}
IGNORE = 3


@dataclass
class Toy:
    """Arrays and plans of a data set; :meth:`write` puts them on disk."""

    paths: NnUNetPaths
    images: dict[str, np.ndarray]  # (channel, z, y, x)
    labels: dict[str, np.ndarray]  # (z, y, x)
    test_images: dict[str, np.ndarray]
    label_names: dict[str, Any] = field(default_factory=lambda: dict(LABELS))
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    channel: str = "MRI"
    scheme: str = "ZScoreNormalization"
    use_mask: bool = False
    transpose: Sequence[int] = (0, 1, 2)
    target_spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    patch_size: tuple[int, ...] = (16, 16, 16)
    settings: dict[str, Any] = field(default_factory=lambda: {"placement": "inside"})
    intensities: dict[str, float] | None = None
    splits: list[dict[str, list[str]]] | None = None

    @property
    def raw(self) -> Path:
        return self.paths.raw / NAME

    @property
    def preprocessed(self) -> Path:
        return self.paths.preprocessed / NAME

    def write_raw(self) -> "Toy":
        shutil.rmtree(self.raw, ignore_errors=True)
        (self.raw / "imagesTs").mkdir(parents=True)
        geometry = {"spacing": self.spacing[::-1], "direction": np.eye(3).flatten().tolist()}
        for part, images in (("Tr", self.images), ("Ts", self.test_images)):
            for case, image in images.items():
                for number, channel in enumerate(image.astype(np.float32)):
                    file = self.raw / f"images{part}" / f"{case}_{number:04d}.nii.gz"
                    write_volume(file, channel, **geometry)
        for case, label in self.labels.items():
            write_volume(self.raw / "labelsTr" / f"{case}.nii.gz", label, **geometry)
        num_channels = len(next(iter(self.images.values())))
        content = {
            "channel_names": {str(c): self.channel for c in range(num_channels)},
            "labels": self.label_names,
            "numTraining": len(self.labels),
            "file_ending": ".nii.gz",
        }
        if any(isinstance(value, list) for value in self.label_names.values()):
            content["regions_class_order"] = [1, 2]
        (self.raw / "dataset.json").write_text(json.dumps(content))
        self.preprocessed.mkdir(exist_ok=True)
        splits = self.splits or [{"train": TRAIN, "val": VAL}] * 3
        (self.preprocessed / "splits_final.json").write_text(json.dumps(splits))
        return self

    def write(self, configurations: Sequence[str] = ("3d_fullres",)) -> "Toy":
        """Write everything, preprocessed by nnU-Net's own preprocessor."""
        self.write_raw()
        shutil.copy(self.raw / "dataset.json", self.preprocessed)
        self.write_plans()
        for configuration in configurations:
            self.preprocess(configuration)
        return self

    def write_plans(self) -> None:
        configurations = {
            "2d": self._configuration("2d", self.patch_size[1:], 6),
            "3d_fullres": self._configuration("3d_fullres", self.patch_size, 2),
        }
        plans = {
            "dataset_name": NAME,
            "plans_name": "nnsparsePlans",
            "original_median_spacing_after_transp": list(self.spacing),
            "original_median_shape_after_transp": [24, 24, 24],
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": list(self.transpose),
            "transpose_backward": [int(i) for i in np.argsort(self.transpose)],
            "experiment_planner_used": "ExperimentPlanner",
            "label_manager": "LabelManager",
            "foreground_intensity_properties_per_channel": {
                str(c): self.intensities or self.annotated_intensities(c)
                for c in range(len(self.images[CASES[0]]))
            },
            "configurations": configurations,
        }
        (self.preprocessed / "nnsparsePlans.json").write_text(json.dumps(plans))

    def annotated_intensities(self, channel: int = 0, with_ignored: bool = False) -> Any:
        """What a fingerprint holds, of annotated foreground or of all that nnU-Net takes for it."""
        values = np.concatenate(
            [
                self.images[c][channel][(label > 0) & (with_ignored | (label != IGNORE))]
                for c, label in self.labels.items()
            ]
        )
        low, median, high = (float(v) for v in np.percentile(values, (0.5, 50, 99.5)))
        return {
            "mean": float(values.mean()),
            "std": float(values.std()),
            "min": float(values.min()),
            "max": float(values.max()),
            "percentile_00_5": low,
            "median": median,
            "percentile_99_5": high,
        }

    def preprocess(self, configuration: str) -> None:
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        plans = PlansManager(str(self.preprocessed / "nnsparsePlans.json"))
        folder = self.preprocessed / f"nnsparsePlans_{configuration}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        dataset_json = json.loads((self.raw / "dataset.json").read_text("utf-8"))
        num_channels = len(next(iter(self.images.values())))
        for case in self.labels:
            files = [
                str(self.raw / "imagesTr" / f"{case}_{c:04d}.nii.gz") for c in range(num_channels)
            ]
            DefaultPreprocessor(verbose=False).run_case_save(
                str(folder / case),
                files,
                str(self.raw / "labelsTr" / f"{case}.nii.gz"),
                plans,
                plans.get_configuration(configuration),
                dataset_json,
            )

    def _configuration(self, name: str, patch_size: Sequence[int], batch: int) -> dict[str, Any]:
        dim = len(patch_size)
        num_channels = len(self.images[CASES[0]])
        resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
        return {
            "data_identifier": f"nnsparsePlans_{name}",
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": batch,
            "patch_size": list(patch_size),
            "median_image_size_in_voxels": [24.0] * dim,
            "spacing": list(self.target_spacing[-dim:]),
            "normalization_schemes": [self.scheme] * num_channels,
            "use_mask_for_norm": [self.use_mask] * num_channels,
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_seg": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": resampling,
            "resampling_fn_seg_kwargs": resampling | {"is_seg": True, "order": 1},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
            "batch_dice": False,
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet."
                "PlainConvUNet",
                "arch_kwargs": {"n_stages": 4, "strides": [[1] * dim, *([[2] * dim] * 3)]},
                "_kw_requires_import": [],
            },
            "nnsparse": self.settings,
        }

    def examine(self, configuration: str | None = None, **arguments: Any) -> Diagnosis:
        subject = open_subject(self.paths, "600", None, configuration)
        arguments = {"trainer": "SparseTrainer", "num_batches": 12} | arguments
        return examine(subject, **arguments)

    def finding(self, check: str, configuration: str | None = None, **arguments: Any) -> Finding:
        found = [f for f in self.examine(configuration, **arguments).findings if f.check == check]
        assert len(found) == 1, [f.configuration for f in found]
        return found[0]


def ignore_between(label: np.ndarray, interval: int = 4, axis: int = 0) -> np.ndarray:
    """Annotate every interval-th slice."""
    sparse = np.full_like(label, IGNORE)
    kept = np.arange(label.shape[axis]) % interval == 1
    where = (*(slice(None),) * axis, kept)
    sparse[where] = label[where]
    return sparse


@pytest.fixture
def toy(paths: NnUNetPaths, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Six cases of 24 x 24 x 24, every fourth slice of the training cases annotated."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rng = np.random.default_rng(0)
    images, labels, test_images = {}, {}, {}
    for number, case in enumerate([*CASES, "test_0"]):
        label = np.zeros((24, 24, 24), np.uint8)
        label[:, 6:16, 4:11] = 1
        label[:, 6:16, 13:20] = 2
        image = 100 + 50 * (label > 0) + rng.normal(0, 5, (1, *label.shape))
        if case == "test_0":
            test_images[case] = image
            continue
        images[case] = image
        labels[case] = ignore_between(label) if number < len(TRAIN) else label
    return Toy(paths, images, labels, test_images)
