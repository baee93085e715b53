"""Interpolators of a base, kept in ``nnUNet_preprocessed/BASE/nnsparse``.

``interpolator_PRESET_axisA_seedS/`` holds ``checkpoint.pth`` (the trained network),
``training.json`` (how it was trained), ``loss.png`` and ``reconstructions.png``.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.interpolation.interpolator_presets import (
    DEFAULT_PRESET,
    PRESETS,
    InterpolatorPreset,
)
from nnunet_sparse.interpolation.network_input import Volume, read_volume
from nnunet_sparse.system.devices import best_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.model_folder import ModelFolder
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.paths import NnUNetPaths

logger = logging.getLogger(__name__)

_VERSION = 1
_VOLUMES = "volumes"


@dataclass(frozen=True)
class InterpolatorRequest:
    """Which interpolator is wanted.

    Attributes
    ----------
    preset
        Name of its preset.
    seed
        Seed of its training.
    device
        Where it is trained and used; None for a GPU if there is one.
    changes
        Values of the preset that are replaced; they are part of the folder's name.
    """

    preset: str = DEFAULT_PRESET
    seed: int = 0
    device: str | None = None
    changes: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise SparseError(f"unknown preset {self.preset!r}, choose from {', '.join(PRESETS)}")
        preset = asdict(PRESETS[self.preset])
        # whole numbers as they are, so that names do not depend on how a value was written
        given = ((key, type(preset[key])(value)) for key, value in self.changes)
        changed = sorted((key, value) for key, value in given if value != preset[key])
        object.__setattr__(self, "changes", tuple(changed))
        _ = self.values  # refuses what is out of range

    @property
    def values(self) -> InterpolatorPreset:
        """The preset with its changes."""
        return replace(PRESETS[self.preset], **dict(self.changes))


def change_names(changes: Sequence[tuple[str, Any]]) -> list[str]:
    """Parts of names of folders for changes of a preset."""
    return [f"{key.replace('_', '')}{value:g}" for key, value in changes]


def interpolator_model(
    paths: NnUNetPaths, base: str, request: InterpolatorRequest, axis: int
) -> ModelFolder:
    """Where an interpolator of a base is kept."""
    name = f"interpolator_{request.preset}_axis{axis}_seed{request.seed}"
    command = f"nnsparse_train_interpolator -d {base} --axis {axis}"
    if request.preset != DEFAULT_PRESET:
        command += f" --preset {request.preset}"
    if request.seed:
        command += f" --interpolator_seed {request.seed}"
    if request.changes:
        command += " --change"
    for key, value in request.changes:
        command += f" {key}={value}"
    name = "_".join([name, *change_names(request.changes)])
    return ModelFolder(paths.preprocessed / base / "nnsparse" / name, command)


def train_interpolator(
    paths: NnUNetPaths,
    raw: RawDataset,
    cases: tuple[str, ...],
    axis: int,
    request: InterpolatorRequest,
    num_processes: int,
    overwrite: bool = False,
) -> ModelFolder:
    """Train an interpolator on images, unless that has been done; labels are not read.

    A training that was killed goes on where it was; calls at the same time wait for each other.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    raw
        The base.
    cases
        Training cases, whose images are used.
    axis
        Slice axis.
    request
        Which one.
    num_processes
        Processes that read images.
    overwrite
        Train again what is there.

    Raises
    ------
    SparseError
        If an image cannot be read, has another number of channels than the data set, or holds
        values that are no finite numbers; if no volume has two slices; or if a network is there
        that was trained on other images.
    """
    from nnunet_sparse.interpolation.interpolator_pictures import draw_reconstructions
    from nnunet_sparse.interpolation.interpolator_training import train
    from nnunet_sparse.system.figures import draw_loss

    preset, device = request.values, best_device(request.device)
    record = {
        "version": _VERSION,
        "base": raw.name,
        "axis": axis,
        "seed": request.seed,
        "channels": raw.num_channels,
        "cases": sorted(cases),
        **asdict(preset),
    }
    model = interpolator_model(paths, raw.name, request, axis)
    with model.training(record, overwrite) as needed:
        if not needed:
            return model
        folder = model.path / _VOLUMES
        try:
            volumes = _write_volumes(raw, cases, axis, folder, num_processes)
            logger.info(
                "Training an interpolator (%s) on %d volumes, %d steps on %s",
                request.preset,
                len(volumes),
                preset.num_steps,
                device,
            )
            network, losses = train(volumes, preset, request.seed, model.latest, device, record)
            draw_loss(losses, model.path / "loss.png", "smooth L1 loss of reconstructions")
            shown = volumes[sorted(volumes)[0]]
            draw_reconstructions(network, shown, model.path / "reconstructions.png")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        content = {"config": network.config, "network": network.state_dict(), "losses": losses}
        model.finish(content, record)
    return model


def load_interpolator(model: ModelFolder, device: str | None) -> Any:
    """Trained network of a folder on a device, in evaluation mode.

    Raises
    ------
    SparseError
        If there is none.
    """
    from nnunet_sparse.interpolation.network import CorrespondenceNetwork

    model.digest("interpolator")
    content = model.load()
    try:
        network = CorrespondenceNetwork.from_config(content["config"])
        network.load_state_dict(content["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise model.damaged() from error
    return network.eval().to(best_device(device))


def _write_volumes(
    raw: RawDataset, cases: tuple[str, ...], axis: int, folder: Path, num_processes: int
) -> Mapping[str, Volume]:
    """Slices of all volumes in files that are read piece by piece; those of one slice left out."""
    folder.mkdir(parents=True, exist_ok=True)
    write = partial(
        _write_volume, folder=folder, reader=raw.reader(), axis=axis, channels=raw.num_channels
    )
    inputs = {case_id: (case_id, raw.training[case_id].images) for case_id in cases}
    found = map_cases(write, inputs, num_processes, "Reading images")
    volumes = {
        case_id: Volume(np.load(folder / f"{case_id}.npy", mmap_mode="r"), aspect)
        for case_id, (length, aspect) in found.items()
        if length > 1
    }
    if not volumes:
        raise SparseError(f"no training volume of {raw.name} has two slices along axis {axis}")
    return volumes


def _write_volume(
    case: tuple[str, tuple[Path, ...]], folder: Path, reader: str, axis: int, channels: int
) -> tuple[int, tuple[float, float]]:
    """Number of slices and aspect of a volume that was written."""
    case_id, images = case
    volume = read_volume(images, reader, axis)
    slices = volume.slices
    if slices.shape[1] != channels:
        raise SparseError(
            f"case {case_id} has {slices.shape[1]} image channels, dataset.json declares {channels}"
        )
    np.save(folder / f"{case_id}.npy", np.ascontiguousarray(slices))
    return len(slices), volume.aspect
