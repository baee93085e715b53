"""A trained network in memory, ready to predict as nnU-Net does."""

import contextlib
import inspect
import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnunet_sparse.data.compressed_array import read_array
from nnunet_sparse.data.stored_images import image_source, look_up_images, store_folder
from nnunet_sparse.prediction.nnunet_checkpoint import NnUNetCheckpoint, read_checkpoint
from nnunet_sparse.prediction.resampled_logits import ResampledLogits
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.env import environment, training_environment
from nnunet_sparse.system.errors import SparseError, naming
from nnunet_sparse.system.foreign_code import explained, in_one_line
from nnunet_sparse.system.nnunet_model import Fold

logger = logging.getLogger(__name__)

ReadVolume = Callable[[tuple[Path, ...]], tuple[np.ndarray, np.ndarray]]
"""Reads the files of a volume: (channel, z, y, x) float32, and the spacing along z, y and x in mm.

Of a data set it is :func:`nnunet_sparse.data.image_files.read_image` with the data set's reader.
"""


@dataclass(frozen=True)
class PreparedImage:
    """A volume as the network takes it.

    Attributes
    ----------
    data
        (channel, z, y, x) float32, preprocessed.
    properties
        nnU-Net's properties of the case.
    """

    data: torch.Tensor
    properties: Mapping[str, Any]


class LoadedNetwork:
    """nnU-Net's predictor with the weights of every fold.

    Parameters
    ----------
    network
        Which network.
    device
        Where it predicts.

    Raises
    ------
    SparseError
        If a checkpoint is missing or damaged, does not fit the plans, or holds what is no number.
    """

    def __init__(self, network: TrainedNetwork, device: torch.device) -> None:
        self.network, self.device = network, device
        checkpoints = {k: read_checkpoint(file) for k, file in network.checkpoints.items()}
        with (
            explained(lambda e: f"{network.folder} cannot be used: {in_one_line(e)}"),
            environment(training_environment()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            self._predictor = _predictor(network, checkpoints, device)
        self._configuration = next(iter(checkpoints.values())).configuration
        self._weights = {fold: checkpoint.weights for fold, checkpoint in checkpoints.items()}
        for fold, weights in self._weights.items():
            self._load(fold, weights)  # which refuses weights of another network
            if not all(torch.isfinite(values).all() for values in weights.values()):
                raise SparseError(
                    f"{network.checkpoints[fold]} holds weights that are no finite numbers: train "
                    "it again"
                )

    def prepare(
        self,
        images: Sequence[Path],
        read: ReadVolume,
        case_id: str = "",
        owners: Sequence[Path] = (),
    ) -> PreparedImage:
        """Read and preprocess a volume, or take it from a store in which it has been.

        Parameters
        ----------
        images
            Files of the volume, one per channel or one with all.
        read
            Reads them.
        case_id
            Its name in stores.
        owners
            Folders ``nnUNet_preprocessed/DATASET`` of which the stores of images are looked up, see
            :mod:`nnunet_sparse.data.stored_images`.

        Raises
        ------
        SparseError
            If the files cannot be read, hold another number of channels than the network has, or
            values that are no finite numbers.
        """
        if (stored := self._from_store(images, case_id, owners)) is not None:
            return stored
        names = ", ".join(map(str, images))
        volume, spacing = read(tuple(images))
        if len(volume) != (wanted := len(self.network.channels)):
            raise SparseError(f"{names} holds {len(volume)} channels, the network takes {wanted}")
        if not np.isfinite(volume).all():
            raise SparseError(f"{names} holds values that are no finite numbers")
        planned = self._predictor.configuration_manager
        with (
            explained(lambda e: f"nnU-Net cannot preprocess {names}: {in_one_line(e)}"),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            preprocessor = planned.preprocessor_class(verbose=False)
            data, _, properties = preprocessor.run_case_npy(
                volume,
                None,
                {"spacing": np.asarray(spacing).tolist()},
                self._predictor.plans_manager,
                planned,
                dict(self.network.dataset_json),
            )
        return PreparedImage(torch.from_numpy(np.ascontiguousarray(data, np.float32)), properties)

    def _from_store(
        self, images: Sequence[Path], case_id: str, owners: Sequence[Path]
    ) -> PreparedImage | None:
        """The same image, preprocessed before as the plans of this network say."""
        plans, channels = dict(self.network.plans), len(self.network.channels)
        for owner in owners:
            folder = store_folder(owner, plans, self._configuration)
            found, _ = look_up_images(folder, {case_id: image_source(images)})
            if (stored := found.get(case_id)) is None:
                continue
            try:
                data = read_array(stored.image)
            except (OSError, RuntimeError, ValueError) as error:
                logger.info("%s is damaged and not used: %s", stored.image, error)
                continue
            if data.shape == (channels, *stored.shape) and np.isfinite(data).all():
                return PreparedImage(torch.from_numpy(data), stored.properties)
        return None

    @property
    def transpose_forward(self) -> tuple[int, ...]:
        """Axes of the array as read, in the order of the preprocessed one."""
        return tuple(self._predictor.plans_manager.transpose_forward)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (heads, ...) of classes, or of each region by itself."""
        result: torch.Tensor = self._predictor.label_manager.apply_inference_nonlin(logits)
        return result

    @contextmanager
    def logits(
        self, image: PreparedImage, axis: int, name: str, scratch: Path
    ) -> Iterator[list[ResampledLogits]]:
        """Predict a volume with every fold.

        Parameters
        ----------
        image
            The volume.
        axis
            Slice axis of the array as read.
        name
            What the volume is called in messages.
        scratch
            Folder in which the logits of several folds lie while the block runs, without a name.

        Yields
        ------
        list of ResampledLogits
            One of each fold.

        Raises
        ------
        SparseError
            If the network does not fit the image, or its output is no finite number.
        OSError
            If there is no space for the logits.
        """
        along = self.transpose_forward.index(axis)
        with ExitStack() as stack:
            found = []
            for fold, weights in self._weights.items():
                self._load(fold, weights)
                logits = self._predict(image, fold, name)
                planes = logits.movedim(along + 1, 0)
                if len(self._weights) > 1:
                    stored = _stored(planes, stack, scratch)
                else:
                    stored = planes.numpy()
                del logits, planes
                found.append(self._resampled(stored, along, image.properties))
            yield found

    def _predict(self, image: PreparedImage, fold: Fold, name: str) -> torch.Tensor:
        """Logits (heads, z, y, x) float16 on the CPU."""
        where = f"fold {fold} of {self.network.folder}"
        with (
            explained(lambda e: f"{where} fails to predict {name}: {in_one_line(e)}"),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            logits: torch.Tensor = self._predictor.predict_sliding_window_return_logits(image.data)
            logits = logits.cpu()
            if not all(bool(torch.isfinite(head).all()) for head in logits):
                raise SparseError(
                    f"{where} gives values for {name} that are no finite numbers: did its training "
                    "diverge?"
                )
        return logits

    def _load(self, fold: Fold, weights: Mapping[str, torch.Tensor]) -> None:
        network = self._predictor.network
        network = getattr(network, "_orig_mod", network)  # where nnU-Net compiles
        with explained(
            lambda e: (
                f"{self.network.checkpoints[fold]} does not fit the plans beside it: "
                f"{in_one_line(e)[:200]}"
            )
        ):
            network.load_state_dict(weights)

    def _resampled(
        self, logits: np.ndarray, along: int, properties: Mapping[str, Any]
    ) -> ResampledLogits:
        planned = self._predictor.configuration_manager
        spacing = [properties["spacing"][axis] for axis in self.transpose_forward]
        target = [float(side) for side in planned.spacing]
        return ResampledLogits(
            logits,
            along,
            tuple(int(n) for n in properties["shape_after_cropping_and_before_resampling"]),
            spacing,
            [*spacing[: 3 - len(target)], *target],
            planned.configuration["resampling_fn_probabilities"],
            planned.configuration["resampling_fn_probabilities_kwargs"],
        )


def _predictor(
    network: TrainedNetwork, checkpoints: Mapping[Fold, NnUNetCheckpoint], device: torch.device
) -> Any:
    """nnU-Net's predictor, with what ``initialize_from_trained_model_folder`` gives it."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    dataset_json = dict(network.dataset_json)
    first = next(iter(checkpoints.values()))
    plans = PlansManager(dict(network.plans))
    planned = plans.get_configuration(first.configuration)
    if planned.previous_stage_name is not None:
        raise SparseError(
            f"its configuration {first.configuration} needs what {planned.previous_stage_name} "
            "predicts: use a network that sees the images alone"
        )
    trainer = recursive_find_trainer_class_by_name(first.trainer)
    heads = plans.get_label_manager(dataset_json).num_segmentation_heads
    channels = determine_num_input_channels(plans, planned, dataset_json)
    build = trainer.build_network_architecture
    if "plans_manager" in inspect.signature(build).parameters:
        described: tuple[Any, ...] = plans, planned
    else:  # a trainer written for earlier versions of nnU-Net
        described = (
            planned.network_arch_class_name,
            planned.network_arch_init_kwargs,
            planned.network_arch_init_kwargs_req_import,
        )
    built = build(*described, channels, heads, enable_deep_supervision=False)
    predictor = nnUNetPredictor(
        device=device, perform_everything_on_device=device.type == "cuda", allow_tqdm=False
    )
    predictor.manual_initialization(
        built, plans, planned, None, dataset_json, first.trainer, first.mirroring_axes
    )
    return predictor


def _stored(planes: torch.Tensor, stack: ExitStack, scratch: Path) -> np.ndarray:
    """The same on disk, in a file that vanishes with this process at the latest."""
    with naming(scratch):
        file = stack.enter_context(tempfile.TemporaryFile(dir=scratch))  # noqa: SIM115
        # written, not mapped: a full disk is an error then, not the end of the process
        for plane in planes:
            file.write(np.ascontiguousarray(plane.numpy()).data)
        file.flush()
    return np.memmap(file, np.float16, "r", shape=tuple(planes.shape))
