"""Folders as nnU-Net's trainings leave them, with networks of random weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

LABELS = {"background": 0, "organ": 1, "lesion": 2}
REGIONS = {"background": 0, "whole": [1, 2], "core": [2]}
LINEAR = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}


def dataset_json(
    labels: dict[str, Any] = LABELS, channels: Sequence[str] = ("MR",), ending: str = ".nii.gz"
) -> dict[str, Any]:
    regions = {"regions_class_order": [1, 2]} if labels == REGIONS else {}
    names = {str(number): name for number, name in enumerate(channels)}
    return {"channel_names": names, "labels": labels, "file_ending": ending} | regions


def plans(
    *,
    dataset: str = "Dataset004_Tiny",
    spacing: Sequence[float] = (1.5, 1.0, 1.0),
    patch: Sequence[int] = (8, 8, 8),
    transpose: Sequence[int] = (0, 1, 2),
    channels: int = 1,
    masked: bool = False,
    resampling: str = "resample_data_or_seg_to_shape",
    arguments: dict[str, Any] | None = None,
) -> dict[str, Any]:
    dim = len(patch)
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": 2,
            "features_per_stage": [4, 8],
            "conv_op": f"torch.nn.modules.conv.Conv{dim}d",
            "kernel_sizes": [[3] * dim] * 2,
            "strides": [[1] * dim, [2] * dim],
            "n_conv_per_stage": [1, 1],
            "n_conv_per_stage_decoder": [1],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dim}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    linear = LINEAR if arguments is None else arguments
    configuration = {
        "data_identifier": f"plans_{dim}d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(patch),
        "median_image_size_in_voxels": [16.0] * dim,
        "spacing": list(spacing)[-dim:],
        "normalization_schemes": ["ZScoreNormalization"] * channels,
        "use_mask_for_norm": [masked] * channels,
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": LINEAR | {"order": 3},
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": LINEAR | {"is_seg": True},
        "resampling_fn_probabilities": resampling,
        "resampling_fn_probabilities_kwargs": linear,
        "architecture": architecture,
        "batch_dice": False,
    }
    backward = [list(transpose).index(axis) for axis in range(3)]
    return {
        "dataset_name": dataset,
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": list(transpose),
        "transpose_backward": backward,
        "configurations": {f"{dim}d": configuration},
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(c): {} for c in range(channels)},
    }


def write_model(
    results: Path,
    content: dict[str, Any] | None = None,
    dataset: dict[str, Any] | None = None,
    folds: Sequence[int | str] = (0,),
    sharpness: float = 3.0,
) -> Path:
    """Write a model folder; the weights of a fold depend on its number alone."""
    content, dataset = content or plans(), dataset or dataset_json()
    (name,) = content["configurations"]
    folder = results / content["dataset_name"] / f"nnUNetTrainer__nnUNetPlans__{name}"
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(content))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    manager = PlansManager(content)
    heads = manager.get_label_manager(dataset).num_segmentation_heads
    channels = len(dataset["channel_names"])
    num_axes = len(content["configurations"][name]["patch_size"])
    for number, fold in enumerate(folds):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number)
            network = nnUNetTrainer.build_network_architecture(
                manager, manager.get_configuration(name), channels, heads, False
            )
        weights = network.state_dict()
        for key in weights:
            if "seg_layers" in key:
                weights[key] *= sharpness
        checkpoint = {
            "network_weights": weights,
            "logging": {"ema_fg_dice": [np.float64(0.5)]},
            "_best_ema": np.float32(0.5),
            "init_args": {"plans": content, "configuration": name, "fold": fold},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": tuple(range(num_axes)),
        }
        (folder / f"fold_{fold}").mkdir()
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    return folder


def never_background(folder: Path) -> None:
    """Let the networks of a model folder see objects wherever they look."""
    for file in folder.glob("fold_*/checkpoint_final.pth"):
        checkpoint = torch.load(file, weights_only=False)
        for name, weights in checkpoint["network_weights"].items():
            if "seg_layers" in name and name.endswith("bias"):
                weights[0] = -1000
        torch.save(checkpoint, file)
