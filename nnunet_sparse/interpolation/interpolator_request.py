"""The correspondence network of a base: by it labels are moved from slice to slice."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.image_network import ImageNetworkRequest, check_channels
from nnunet_sparse.interpolation.interpolator_presets import (
    DEFAULT_INTERPOLATOR_PRESET,
    INTERPOLATOR_PRESETS,
    InterpolatorPreset,
)
from nnunet_sparse.interpolation.slice_stack import SliceStack, read_slice_stack
from nnunet_sparse.system.errors import SparseError, naming
from nnunet_sparse.system.parallel import map_cases

if TYPE_CHECKING:
    import torch

    from nnunet_sparse.interpolation.network import CorrespondenceNetwork
    from nnunet_sparse.system.resumable import TrainingSetup

_VOLUMES = "volumes"

PresetChanges = tuple[tuple[str, float], ...]
"""Settings of a preset that are replaced, by name; int or float as in the preset."""


@dataclass(frozen=True)
class InterpolatorRequest(ImageNetworkRequest["CorrespondenceNetwork", Mapping[str, SliceStack]]):
    """Which interpolator is wanted.

    It is trained on volumes, by case ID, whose slices are kept in files during the training.

    Attributes
    ----------
    preset, seed, device
        As in :class:`nnunet_sparse.features.image_network.ImageNetworkRequest`.
    changes
        Settings of the preset that are replaced; they are part of the folder's name.
    """

    preset: str = DEFAULT_INTERPOLATOR_PRESET
    changes: PresetChanges = ()

    kind: ClassVar[str] = "interpolator"
    title: ClassVar[str] = "an interpolator"
    presets: ClassVar[Mapping[str, InterpolatorPreset]] = INTERPOLATOR_PRESETS
    default_preset: ClassVar[str] = DEFAULT_INTERPOLATOR_PRESET
    command: ClassVar[str] = "nnsparse_train_interpolator"
    preset_option: ClassVar[str] = "--preset"
    seed_option: ClassVar[str] = "--interpolator_seed"
    loss_title: ClassVar[str] = "smooth L1 loss of reconstructions"

    def __post_init__(self) -> None:
        super().__post_init__()
        preset = asdict(self.presets[self.preset])
        # whole numbers as they are, so that names do not depend on how a value was written
        given = ((key, type(preset[key])(value)) for key, value in self.changes)
        changed = sorted((key, value) for key, value in given if value != preset[key])
        object.__setattr__(self, "changes", tuple(changed))
        _ = self.settings  # refuses what is out of range

    @property
    def settings(self) -> InterpolatorPreset:
        """The preset with its changes."""
        return replace(self.presets[self.preset], **dict(self.changes))  # type: ignore[arg-type]

    def folder_name(self, axis: int) -> str:
        """Name of its folder."""
        return "_".join([super().folder_name(axis), *change_names(self.changes)])

    def command_line(self, base: str, axis: int) -> str:
        """Command line that trains it."""
        words = [super().command_line(base, axis), *(["--change"] if self.changes else [])]
        return " ".join([*words, *(f"{key}={value}" for key, value in self.changes)])

    def training_record(self, images: TrainingImages) -> dict[str, Any]:
        """All settings."""
        del images
        return self.settings.to_json()

    @contextmanager
    def read(
        self,
        images: TrainingImages,
        record: Mapping[str, Any],
        folder: Path,
        num_processes: int,
    ) -> Iterator[Mapping[str, SliceStack]]:
        """Write the slices of all volumes into files, of which pieces are read."""
        del record
        try:
            yield _write_volumes(images, folder / _VOLUMES, num_processes)
        finally:
            shutil.rmtree(folder / _VOLUMES, ignore_errors=True)

    def amount(self, data: Mapping[str, SliceStack], images: TrainingImages) -> str:
        """Number of volumes."""
        del images
        return f"{len(data)} volumes"

    def set_up(
        self, data: Mapping[str, SliceStack], record: Mapping[str, Any], device: "torch.device"
    ) -> "TrainingSetup[CorrespondenceNetwork]":
        """Correspondence network of the settings."""
        from nnunet_sparse.interpolation.interpolator_training import set_up_interpolator

        del record
        return set_up_interpolator(data, self.settings, self.seed, device)

    def draw(
        self, network: "CorrespondenceNetwork", data: Mapping[str, SliceStack], output: Path
    ) -> None:
        """Slices of a volume, their reconstructions, and the flow."""
        from nnunet_sparse.interpolation.interpolator_pictures import draw_reconstructions

        draw_reconstructions(network, data[min(data)], output)

    def build(self, config: Mapping[str, Any]) -> "CorrespondenceNetwork":
        """Correspondence network of a stored configuration."""
        from nnunet_sparse.interpolation.network import CorrespondenceNetwork

        return CorrespondenceNetwork.from_config(config)


def change_names(changes: Sequence[tuple[str, float]]) -> list[str]:
    """Parts of names of folders for changes of a preset."""
    return [f"{key.replace('_', '')}{value:g}" for key, value in changes]


def _write_volumes(
    images: TrainingImages, folder: Path, num_processes: int
) -> Mapping[str, SliceStack]:
    """Slices of all volumes in files; volumes of one slice are left out."""
    raw = images.raw
    folder.mkdir(parents=True, exist_ok=True)
    write = partial(
        _write_volume,
        folder=folder,
        reader=raw.reader(),
        axis=images.axis,
        channels=raw.num_channels,
    )
    inputs = {case_id: (case_id, raw.training[case_id].images) for case_id in images.cases}
    found = map_cases(write, inputs, num_processes, "Reading images")
    volumes = {
        case_id: SliceStack(np.load(folder / f"{case_id}.npy", mmap_mode="r"), aspect)
        for case_id, (length, aspect) in found.items()
        if length > 1
    }
    if not volumes:
        raise SparseError(
            f"no training volume of {raw.name} has two slices along axis {images.axis}"
        )
    return volumes


def _write_volume(
    case: tuple[str, tuple[Path, ...]], folder: Path, reader: str, axis: int, channels: int
) -> tuple[int, tuple[float, float]]:
    """Number of slices and aspect of a volume that was written."""
    case_id, images = case
    stack = read_slice_stack(images, reader, axis)
    check_channels(case_id, stack.slices.shape[1], channels)
    with naming(folder / f"{case_id}.npy"):
        np.save(folder / f"{case_id}.npy", stack.slices)
    return len(stack.slices), stack.aspect
