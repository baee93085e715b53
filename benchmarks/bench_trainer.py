"""A trainer as ``nnUNetv2_train`` builds it, with other settings and without its files."""

import json
from collections.abc import Mapping
from typing import Any

from nnunet_sparse.system.paths import NnUNetPaths


def sparse_trainer(
    paths: NnUNetPaths,
    dataset: str,
    plans_name: str,
    configuration: str,
    *,
    settings: Mapping[str, Any],
    patch_size: tuple[int, ...] | None = None,
    batch_size: int | None = None,
    repeat: int = 0,
    device: str = "cpu",
    trainer_name: str = "SparseTrainer",
) -> Any:
    """Initialise a trainer for a preprocessed data set.

    nnU-Net's environment variables must be set before this is called.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    dataset, plans_name, configuration, repeat, device
        As on the command line of ``nnUNetv2_train``.
    settings
        Replaces entries of the configuration's ``nnsparse`` block, which trainers of ours read.
    patch_size, batch_size
        Replace those of the plans; None keeps them.
    trainer_name
        What ``-tr`` names.
    """
    import torch

    from nnunet_sparse.trainers.trainer_classes import find_trainer

    folder = paths.preprocessed / dataset
    plans = json.loads((folder / f"{plans_name}.json").read_text(encoding="utf-8"))
    plans["continue_training"] = False
    content = plans["configurations"][configuration]
    if patch_size is not None:
        content["patch_size"] = list(patch_size)
    if batch_size is not None:
        content["batch_size"] = batch_size
    content["nnsparse"] = content.get("nnsparse", {}) | dict(settings)
    dataset_json = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    trainer = find_trainer(trainer_name)(
        plans, configuration, repeat, dataset_json, torch.device(device)
    )
    trainer.disable_checkpointing = True
    for unused in ("plot_network_architecture", "_save_debug_information"):
        setattr(trainer, unused, lambda: None)
    trainer.logger.plot_progress_png = lambda _: None
    trainer.initialize()
    return trainer
