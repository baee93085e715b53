"""The masked autoencoder of a base: by it slices are compared."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnunet_sparse.data.geometry import read_geometry, read_spacing
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.canvas import Canvas, plan_canvas
from nnunet_sparse.features.image_network import ImageNetworkRequest, check_channels
from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET, MAE_PRESETS, MaePreset
from nnunet_sparse.features.slices import read_slices
from nnunet_sparse.system.parallel import iterate_cases

if TYPE_CHECKING:
    import torch

    from nnunet_sparse.features.mae import MaskedAutoencoder
    from nnunet_sparse.system.resumable import TrainingSetup

# volumes of each process that wait in memory
_WAITING_VOLUMES = 4


@dataclass(frozen=True)
class MaeRequest(ImageNetworkRequest["MaskedAutoencoder", np.ndarray]):
    """Which masked autoencoder is wanted.

    It is trained on the slices of all images, which are kept in memory: (n, channel, height, width)
    float16.

    Attributes
    ----------
    preset, seed, device
        As in :class:`nnunet_sparse.features.image_network.ImageNetworkRequest`.
    """

    preset: str = DEFAULT_MAE_PRESET

    kind: ClassVar[str] = "mae"
    title: ClassVar[str] = "a masked autoencoder"
    presets: ClassVar[Mapping[str, MaePreset]] = MAE_PRESETS
    default_preset: ClassVar[str] = DEFAULT_MAE_PRESET
    command: ClassVar[str] = "nnsparse_train_mae"
    preset_option: ClassVar[str] = "--mae"
    seed_option: ClassVar[str] = "--mae_seed"
    loss_title: ClassVar[str] = "loss on hidden patches"

    def training_record(self, images: TrainingImages) -> dict[str, Any]:
        """Preset, canvas, and number of slices."""
        canvas, num_slices = _plan(images, self.presets[self.preset].max_side)
        return {"preset": self.preset, "canvas": canvas.to_json(), "num_slices": num_slices}

    @contextmanager
    def read(
        self,
        images: TrainingImages,
        record: Mapping[str, Any],
        folder: Path,
        num_processes: int,
    ) -> Iterator[np.ndarray]:
        """Draw the slices of all images on the canvas."""
        del folder
        canvas, channels = Canvas(**record["canvas"]), images.raw.num_channels
        slices = np.empty((record["num_slices"], channels, canvas.height, canvas.width), np.float16)
        first = 0
        for case_id, volume in read_canvases(images, images.cases, canvas, num_processes):
            check_channels(case_id, volume.shape[1], channels)
            slices[first : first + len(volume)] = volume
            first += len(volume)
        yield slices

    def amount(self, data: np.ndarray, images: TrainingImages) -> str:
        """Number of slices and volumes."""
        return f"{len(data)} slices of {len(images.cases)} volumes"

    def set_up(
        self, data: np.ndarray, record: Mapping[str, Any], device: "torch.device"
    ) -> "TrainingSetup[MaskedAutoencoder]":
        """Network of the preset's size for the canvas."""
        from nnunet_sparse.features.mae_training import set_up_mae

        canvas, preset = Canvas(**record["canvas"]), self.presets[self.preset]
        return set_up_mae(data, preset, canvas.grid, canvas.patch, self.seed, device)

    def draw(self, network: "MaskedAutoencoder", data: np.ndarray, output: Path) -> None:
        """Some slices, their visible patches, and the reconstructions."""
        from nnunet_sparse.features.mae_pictures import draw_reconstructions

        draw_reconstructions(network, data, output, self.presets[self.preset].masked_share)

    def build(self, config: Mapping[str, Any]) -> "MaskedAutoencoder":
        """Masked autoencoder of a stored configuration."""
        from nnunet_sparse.features.mae import MaskedAutoencoder

        return MaskedAutoencoder.from_config(config)

    def checkpoint_extras(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The canvas, which is needed wherever the network is used."""
        return {"canvas": record["canvas"]}


def read_canvases(
    images: TrainingImages, cases: tuple[str, ...], canvas: Canvas, num_processes: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Slices of one case after the other, drawn on a canvas; some cases at a time are in memory.

    Yields
    ------
    tuple
        Case ID and slices, see :func:`nnunet_sparse.features.slices.read_slices`, in the order of
        ``cases``.
    """
    read = partial(read_slices, reader=images.raw.reader(), axis=images.axis, canvas=canvas)
    files = {case_id: images.raw.training[case_id].images for case_id in cases}
    return iterate_cases(read, files, num_processes, "Reading slices", _WAITING_VOLUMES)


def _plan(images: TrainingImages, max_side: int) -> tuple[Canvas, int]:
    """Canvas for the slices of all cases, and their number."""
    shapes, spacings, num_slices = [], [], 0
    reader = images.raw.reader()
    rows, columns = (other for other in range(3) if other != images.axis)
    for case_id in images.cases:
        image = images.raw.training[case_id].images[0]
        shape, spacing = read_geometry(image, reader).shape, read_spacing(image, reader)
        shapes.append((shape[rows], shape[columns]))
        spacings.append((spacing[rows], spacing[columns]))
        num_slices += shape[images.axis]
    return plan_canvas(shapes, spacings, max_side), num_slices
