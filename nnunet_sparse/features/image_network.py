"""Networks that learn from a base's training images alone, by self-supervision.

Each is kept in a folder of its own, ``nnUNet_preprocessed/BASE/nnsparse/KIND_PRESET_axisA_seedS``,
which holds ``checkpoint.pth`` (the trained network), ``training.json`` (what it was trained on),
``loss.png`` and ``reconstructions.png``. It is trained once; see
:mod:`nnunet_sparse.system.model_folder`.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.system.checkpoint import DAMAGED
from nnunet_sparse.system.devices import best_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.model_folder import ModelFolder
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.wording import command_line

if TYPE_CHECKING:
    import torch

    from nnunet_sparse.system.resumable import TrainingSetup

logger = logging.getLogger(__name__)

_VERSION = 1
_MOST_VALUES = 3 * 10**8  # of weights: 1.2 GB; presets have less than 2 * 10**7
_CURVE, _PICTURE = "loss.png", "reconstructions.png"

NetworkT = TypeVar("NetworkT", bound="torch.nn.Module")
DataT = TypeVar("DataT")


@dataclass(frozen=True)
class TrainedNetwork(Generic[NetworkT]):
    """A network that was read from its folder.

    Attributes
    ----------
    network
        On the device that was asked for, in evaluation mode.
    digest
        Hash of the checkpoint.
    content
        Everything that the checkpoint holds.
    """

    network: NetworkT
    digest: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class ImageNetworkRequest(ABC, Generic[NetworkT, DataT]):
    """Which network is wanted, and how it is trained where it is not there.

    A subclass is one kind of network. It names it in the class variables, and says how images are
    read, what is trained on them, and how the result is drawn; ``DataT`` is what the images are
    read into.

    Attributes
    ----------
    preset
        Name of its preset.
    seed
        Seed of its training.
    device
        Where it is trained and used; None for a GPU if there is one.
    """

    preset: str
    seed: int = 0
    device: str | None = None

    kind: ClassVar[str]
    """First part of its folder's name."""

    title: ClassVar[str]
    """What it is called in messages, with its article."""

    presets: ClassVar[Mapping[str, Any]]
    """Presets by name."""

    default_preset: ClassVar[str]

    command: ClassVar[str]
    """Command that trains it."""

    preset_option: ClassVar[str]
    seed_option: ClassVar[str]
    """Options of the command that choose the preset and the seed."""

    loss_title: ClassVar[str]
    """What the loss is, for its curve."""

    def __post_init__(self) -> None:
        if self.preset not in self.presets:
            raise SparseError(
                f"unknown preset {self.preset!r}, choose from {', '.join(self.presets)}"
            )

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.title.partition(" ")[2]

    def folder_name(self, axis: int) -> str:
        """Name of its folder."""
        return f"{self.kind}_{self.preset}_axis{axis}_seed{self.seed}"

    def command_line(self, base: str, axis: int) -> str:
        """Command line that trains it."""
        words: list[object] = [self.command, "-d", base, "--axis", axis]
        if self.preset != self.default_preset:
            words += [self.preset_option, self.preset]
        return command_line(*words, *([self.seed_option, self.seed] if self.seed else []))

    def model(self, paths: NnUNetPaths, base: str, axis: int) -> ModelFolder:
        """Where the network of a base is kept."""
        folder = paths.preprocessed / base / "nnsparse" / self.folder_name(axis)
        return ModelFolder(folder, self.command_line(base, axis))

    def model_of(self, images: TrainingImages) -> ModelFolder:
        """Where the network of these images is kept."""
        return self.model(images.paths, images.raw.name, images.axis)

    def train(
        self, images: TrainingImages, num_processes: int, overwrite: bool = False
    ) -> ModelFolder:
        """Train the network, unless that has been done; labels are not read.

        A training that was killed is resumed; calls at the same time wait for each other.

        Parameters
        ----------
        images
            What it is trained on.
        num_processes
            Processes that read images.
        overwrite
            Train again what is there.

        Raises
        ------
        SparseError
            If an image cannot be used, the device is unknown, or a network is there that was
            trained on other images.
        """
        device = best_device(self.device)
        record = {
            "version": _VERSION,
            "base": images.raw.name,
            "axis": images.axis,
            "seed": self.seed,
            "channels": images.raw.num_channels,
            "cases": sorted(images.cases),
            **self.training_record(images),
        }
        model = self.model_of(images)
        with model.training(record, overwrite) as needed:
            if needed:
                self._train(images, model, record, device, num_processes)
        return model

    def _train(
        self,
        images: TrainingImages,
        model: ModelFolder,
        record: Mapping[str, Any],
        device: "torch.device",
        num_processes: int,
    ) -> None:
        from nnunet_sparse.system.figures import draw_loss
        from nnunet_sparse.system.resumable import train_resumably

        with self.read(images, record, model.path, num_processes) as data:
            setup = self.set_up(data, record, device)
            logger.info(
                "Training %s (%s) on %s, %d steps on %s",
                self.title,
                self.preset,
                self.amount(data, images),
                setup.num_steps,
                device,
            )
            # what another version has begun with a preset of other values is not continued
            begun = {**record, "preset": asdict(self.presets[self.preset])}
            losses = train_resumably(setup, device, model.latest, begun, self.name)
            draw_loss(losses, model.path / _CURVE, self.loss_title)
            self.draw(setup.network, data, model.path / _PICTURE)
        content = {
            "config": setup.network.config,
            **self.checkpoint_extras(record),
            "network": setup.network.state_dict(),
            "losses": losses,
        }
        model.finish(content, {**record, "num_steps": len(losses)})

    def restore(self, model: ModelFolder) -> TrainedNetwork[NetworkT]:
        """Read the trained network.

        Raises
        ------
        SparseError
            If there is none, it is damaged, or the device is unknown.
        """
        digest, content = model.digest(self.name), model.load()
        try:
            self._check_size(content["config"])
            network = self.build(content["config"])
            network.load_state_dict(content["network"])
        except DAMAGED as error:
            raise model.damaged() from error
        return TrainedNetwork(network.eval().to(best_device(self.device)), digest, content)

    def _check_size(self, config: Mapping[str, Any]) -> None:
        """Refuse a configuration before memory is set aside for a network that nobody trains."""
        import torch

        with torch.device("meta"):  # shapes alone
            size = sum(values.numel() for values in self.build(config).parameters())
        if size > _MOST_VALUES:
            raise SparseError(f"a network of {size} values, more than {_MOST_VALUES}")

    @abstractmethod
    def training_record(self, images: TrainingImages) -> dict[str, Any]:
        """What this kind of network adds to ``training.json``, for images that are not read yet."""

    @abstractmethod
    def read(
        self,
        images: TrainingImages,
        record: Mapping[str, Any],
        folder: Path,
        num_processes: int,
    ) -> AbstractContextManager[DataT]:
        """Read the images.

        Parameters
        ----------
        images
            The images.
        record
            Content of ``training.json``.
        folder
            Folder of the network, where a temporary copy may be kept.
        num_processes
            Processes that read images.
        """

    @abstractmethod
    def amount(self, data: DataT, images: TrainingImages) -> str:
        """How much is trained on, as in ``61 slices of 7 volumes``."""

    @abstractmethod
    def set_up(
        self, data: DataT, record: Mapping[str, Any], device: "torch.device"
    ) -> "TrainingSetup[NetworkT]":
        """Untrained network on a device, and its loss on the data.

        Its weights and losses depend on the seed and the number of the step alone.
        """

    @abstractmethod
    def draw(self, network: NetworkT, data: DataT, output: Path) -> None:
        """Draw what the trained network makes of some of the data into a PNG file."""

    @abstractmethod
    def build(self, config: Mapping[str, Any]) -> NetworkT:
        """Network of a stored configuration (its ``config``), with new weights."""

    def checkpoint_extras(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What the checkpoint holds besides configuration, weights and losses."""
        del record
        return {}


def check_channels(case_id: str, found: int, declared: int) -> None:
    """Refuse an image that has another number of channels than its data set declares.

    Raises
    ------
    SparseError
        Naming the case.
    """
    if found != declared:
        raise SparseError(
            f"case {case_id} has {found} image channels, dataset.json declares {declared}"
        )
