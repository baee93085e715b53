"""Train one network with given settings and score it on the test cases, in one process.

Used by ``ablation.py`` and others. The training is that of ``nnUNetv2_train``, without the
validation at its end; the prediction that of ``nnUNetv2_predict``, without mirroring unless it is
asked for.
"""

import contextlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from bench_trainer import sparse_trainer

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.paths import NnUNetPaths


@dataclass(frozen=True)
class Experiment:
    """One training.

    Attributes
    ----------
    dataset
        Full name of a preprocessed data set with ``imagesTs`` and ``labelsTs``.
    configuration
        Configuration in the plans.
    plans
        Name of the plans.
    patch_size
        Replaces that of the plans; None keeps it.
    settings
        Replaces entries of the configuration's ``nnsparse`` block.
    repeat
        Number of the repeat.
    trainer
        What ``-tr`` names.
    float32
        Not in bfloat16 on a CPU.
    """

    dataset: str
    configuration: str
    plans: str
    patch_size: tuple[int, ...] | None
    settings: Mapping[str, Any]
    repeat: int
    trainer: str = "SparseTrainer"
    float32: bool = False


def train_and_score(
    paths: NnUNetPaths, experiment: Experiment, device: str, mirroring: bool = False
) -> dict[str, Any]:
    """Train, predict all test cases, and score them.

    Returns
    -------
    dict
        ``Dice``: mean over test cases for each class by name, cases without the class in both
        label and prediction left out; ``batched_IoU``: the same with the voxels of all cases
        pooled; ``training_s``; on a GPU ``peak_gib``.
    """
    with tempfile.TemporaryDirectory() as results:
        os.environ.update(paths.environment() | {"nnUNet_results": results})
        with contextlib.redirect_stdout(io.StringIO()):
            trainer, seconds = _trained(paths, experiment, device)
            scores = _scores(paths, experiment, trainer, mirroring)
        shutil.rmtree(trainer.output_folder_base, ignore_errors=True)
    measured: dict[str, Any] = {"training_s": round(seconds, 1)}
    if device == "cuda":
        import torch

        measured["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return scores | measured


def _trained(paths: NnUNetPaths, experiment: Experiment, device: str) -> tuple[Any, float]:
    trainer = sparse_trainer(
        paths,
        experiment.dataset,
        experiment.plans,
        experiment.configuration,
        settings=experiment.settings,
        patch_size=experiment.patch_size,
        repeat=experiment.repeat,
        device=device,
        trainer_name=experiment.trainer,
    )
    if device == "cpu" and not experiment.float32:
        _use_bfloat16(trainer.network)
    start = time.monotonic()
    trainer.run_training()
    return trainer, time.monotonic() - start


def _use_bfloat16(network: Any) -> None:
    """Run the network in bfloat16, as nnU-Net runs it in float16 on a GPU."""
    import torch

    forward = network.forward

    def with_autocast(data: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            outputs = forward(data)
        return [o.float() for o in outputs] if isinstance(outputs, list) else outputs.float()

    network.forward = with_autocast


def _scores(
    paths: NnUNetPaths, experiment: Experiment, trainer: Any, mirroring: bool
) -> dict[str, Any]:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    # torch.compile wraps the network, on a GPU
    network = getattr(trainer.network, "_orig_mod", trainer.network).eval()
    predictor = nnUNetPredictor(
        use_mirroring=mirroring,
        perform_everything_on_device=trainer.device.type == "cuda",
        device=trainer.device,
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    raw = RawDataset.open(paths.raw / experiment.dataset)
    reader = trainer.plans_manager.image_reader_writer_class()
    names = {
        value: name
        for name, value in trainer.dataset_json["labels"].items()
        if name not in ("background", "ignore")
    }
    # true positives, predicted, labelled: (case, class)
    counts = np.zeros((3, 0, len(names)))
    folder = raw.folder
    ending = raw.file_ending
    for file in sorted((folder / "labelsTs").glob(f"*{ending}")):
        case = file.name.removesuffix(ending)
        images = sorted((folder / "imagesTs").glob(f"{case}_[0-9][0-9][0-9][0-9]{ending}"))
        image, properties = reader.read_images([str(path) for path in images])
        label = reader.read_seg(str(file))[0][0]
        found = predictor.predict_single_npy_array(image, properties, None, None, False)
        row = [
            ((found == value) & (label == value), found == value, label == value) for value in names
        ]
        sums = np.array([[mask.sum() for mask in masks] for masks in row]).T[:, None]
        counts = np.concatenate([counts, sums], axis=1)
    true, predicted, labelled = counts
    with np.errstate(invalid="ignore"):
        dice = np.nanmean(2 * true / (predicted + labelled), axis=0)
    pooled = counts.sum(1)
    iou = pooled[0] / np.maximum(pooled[1] + pooled[2] - pooled[0], 1)
    return {
        "Dice": dict(zip(names.values(), map(float, dice), strict=True)),
        "batched_IoU": dict(zip(names.values(), map(float, iou), strict=True)),
    }
