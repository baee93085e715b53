"""Patches as a trainer of nnU-Net draws them, with padding told apart from background."""

import contextlib
import copy
import io
import json
import math
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from batchgeneratorsv2.transforms.base.basic_transform import (
    BasicTransform,
    ImageOnlyTransform,
    SegOnlyTransform,
)
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform

from nnunet_sparse.data.geometry import first_line
from nnunet_sparse.doctor.subject import Subject
from nnunet_sparse.system.env import environment
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.trainers.trainer_classes import find_trainer
from nnunet_sparse.training.augmentation import ResolvePadding
from nnunet_sparse.training.patch_labels import PADDING


class NoBatchesError(SparseError):
    """A trainer cannot make batches of the data."""


IGNORED = -1
SEED = 20250101
# about half a minute on one core for patches of any size
_VOXELS_PER_RUN = 60 * 128**3
_MIN_PATCHES, _MAX_PATCHES = 60, 400
# nnU-Net's loader writes -1 outside the image; background outside the non-zero mask becomes this
_STOCK_PADDING = -1
_STOCK_MASKED = -2


@dataclass(frozen=True)
class Patch:
    """A patch as the network sees it.

    Attributes
    ----------
    case_id
        Its case.
    image
        (channel, *patch) float32.
    targets
        For each output an integer array: IGNORED, 0 for background, the label value or, with
        regions, the number of the last region from 1 on.
    is_outside
        (*patch) bool, voxels outside the image.
    is_straight
        Whether it was neither rotated nor scaled.
    """

    case_id: str
    image: np.ndarray
    targets: tuple[np.ndarray, ...]
    is_outside: np.ndarray
    is_straight: bool

    def annotated(self, level: int) -> np.ndarray:
        """Voxels of an output's target that are annotated and lie in the image."""
        target = self.targets[level]
        outside = self.is_outside
        if target.shape != outside.shape:
            shrunk = F.interpolate(
                torch.from_numpy(outside)[None, None].float(), target.shape, mode="nearest-exact"
            )
            outside = shrunk[0, 0].numpy() > 0
        return np.asarray((target != IGNORED) & ~outside)


@dataclass(frozen=True)
class BatchSource:
    """Batches of a trainer.

    Attributes
    ----------
    loader
        nnU-Net's loader.
    recorder
        What its transforms tell.
    transforms
        They augment images and labels.
    level_weights
        Weight in the loss of each output.
    num_regions
        Number of regions, 0 for labels.
    ignore_label
        Value of voxels that are not annotated.
    """

    loader: Any
    recorder: "_Recorder"
    transforms: ComposeTransforms
    level_weights: tuple[float, ...]
    num_regions: int
    ignore_label: int

    @property
    def patch_size(self) -> tuple[int, ...]:
        """Of the network, without the axis of one voxel in 2d."""
        size = tuple(int(n) for n in self.loader.final_patch_size)
        return size[1:] if self.loader.patch_size_was_2d else size

    @property
    def default_num_batches(self) -> int:
        """Number that takes about half a minute."""
        patches = _VOXELS_PER_RUN // math.prod(self.patch_size)
        patches = min(max(patches, _MIN_PATCHES), _MAX_PATCHES)
        return -(-patches // int(self.loader.batch_size))

    def patches(self, num_batches: int, annotation_only: bool = False) -> Iterator[Patch]:
        """Draw batches; the same ones each time.

        Parameters
        ----------
        num_batches
            Number of batches.
        annotation_only
            Leave out what takes time and does not matter to where annotation is: noise and the
            like, all channels but one, and the classes, which become background.
        """
        from nnunet_sparse.trainers.seeding import seeded

        self.loader.transforms = self.transforms
        if annotation_only:
            self.loader.transforms = _annotation_only(self.transforms, self.ignore_label)

        for number in range(num_batches):
            self.recorder.clear()
            try:
                with seeded(SEED, number), _quiet():
                    batch = next(self.loader)
            except Exception as error:
                raise NoBatchesError(f"batches cannot be drawn: {first_line(error)}") from error
            targets = batch["target"]
            levels = targets if isinstance(targets, list) else [targets]
            for sample, case_id in enumerate(batch["keys"]):
                yield Patch(
                    case_id=str(case_id),
                    image=batch["data"][sample].numpy(),
                    targets=tuple(self._plain(level[sample]) for level in levels),
                    is_outside=self.recorder.outside[sample],
                    is_straight=self.recorder.straight[sample],
                )

    def _plain(self, target: torch.Tensor) -> np.ndarray:
        """One integer array of a target in either of nnU-Net's forms."""
        if self.num_regions == 0:
            label = target[0].numpy().astype(np.int16)
            return np.where(label == self.ignore_label, IGNORED, label)
        plain = np.zeros(target.shape[1:], np.int16)
        for region in range(self.num_regions):
            plain[target[region].numpy() > 0] = region + 1
        plain[target[-1].numpy() > 0] = IGNORED
        return plain


def open_batches(
    subject: Subject, configuration: str, trainer: str, cases: Sequence[str]
) -> BatchSource:
    """Make the loader of a trainer's training batches; files go to a temporary folder.

    Parameters
    ----------
    subject
        The data set; the configuration is preprocessed.
    configuration
        Configuration of the plans.
    trainer
        Class name.
    cases
        Preprocessed cases to draw from.

    Raises
    ------
    SparseError
        If there is no such trainer.
    NoBatchesError
        If it cannot make batches of these cases.
    """
    with _nothing_kept(), _quiet():
        trainer_class = find_trainer(trainer)
        try:
            made = _make_trainer(subject, configuration, trainer_class)
            # only training batches are wanted, and nnU-Net would write a missing split file
            made.do_split = lambda: (list(cases), list(cases))
            # batches of a later stage have further channels, from files that may not exist
            made.is_cascaded, made.folder_with_segs_from_previous_stage = False, None
            made._set_batch_size_and_oversample()
            training, _ = made.get_dataloaders()
            weights = getattr(made._build_loss(), "weight_factors", None) or (1.0,)
        except Exception as error:
            raise NoBatchesError(f"{trainer} cannot draw batches: {first_line(error)}") from error
        loader = getattr(training, "data_loader", None) or training.loader
        recorder, transforms = _record(loader)
    manager = made.label_manager
    return BatchSource(
        loader=loader,
        recorder=recorder,
        transforms=transforms,
        level_weights=tuple(float(weight) for weight in weights),
        num_regions=len(manager.foreground_regions) if manager.has_regions else 0,
        ignore_label=subject.ignore_label,
    )


def _make_trainer(subject: Subject, configuration: str, trainer_class: Any) -> Any:
    plans = copy.deepcopy(subject.plans)
    assert plans is not None
    plans["continue_training"] = False
    file = subject.preprocessed / "dataset.json"
    content = json.loads(file.read_text("utf-8")) if file.is_file() else subject.raw.dataset_json
    return trainer_class(plans, configuration, 0, content, torch.device("cpu"))


class _Recorder(SegOnlyTransform):  # type: ignore[misc]
    """Remembers, for every sample, which voxels are padding, before that is resolved."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.outside: list[np.ndarray] = []
        self.straight: list[bool] = []
        self._rotated = False

    def clear(self) -> None:
        self.outside, self.straight, self._rotated = [], [], False

    def watch(self, spatial: SpatialTransform) -> None:
        """Notice when a spatial transform does something."""
        draw = spatial.get_parameters

        def watched(**data: Any) -> dict[str, Any]:
            parameters: dict[str, Any] = draw(**data)
            self._rotated = parameters["grid"] is not None
            return parameters

        spatial.get_parameters = watched

    def _apply_to_segmentation(
        self,
        segmentation: torch.Tensor,
        **params: Any,  # noqa: ARG002 - nnU-Net's interface
    ) -> torch.Tensor:
        self.outside.append((segmentation[0] == self.padding).numpy().copy())
        self.straight.append(not self._rotated)
        if self.padding == _STOCK_PADDING:
            segmentation[segmentation == _STOCK_MASKED] = 0
        return segmentation


class _OnlyAnnotated(BasicTransform):  # type: ignore[misc]
    """Keep one channel and merge all classes, which augmentation would treat one by one."""

    def __init__(self, ignore_label: int) -> None:
        super().__init__()
        self.ignore_label = ignore_label

    def apply(
        self,
        data_dict: dict[str, Any],
        **params: Any,  # noqa: ARG002 - nnU-Net's interface
    ) -> dict[str, Any]:
        label = data_dict["segmentation"]
        label[(label > 0) & (label != self.ignore_label)] = 0
        return data_dict | {"image": data_dict["image"][:1]}


class _MaskedApart:
    """Data set of nnU-Net whose masked background has another value than padding."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        image, label, previous, properties = self._data.load_case(identifier)
        return image, _MaskedLabel(label), previous, properties


class _MaskedLabel:
    """A label array of which only what is cropped is read."""

    def __init__(self, label: Any) -> None:
        self._label = label
        self.shape, self.dtype, self.ndim = label.shape, label.dtype, len(label.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        label = np.array(self._label[index])
        label[label == _STOCK_PADDING] = _STOCK_MASKED
        return label


def _record(loader: Any) -> tuple["_Recorder", ComposeTransforms]:
    """A loader's transforms, which tell what they know; the loader's data set is wrapped."""
    from nnunet_sparse.trainers.sparse_loader import SparseDataLoader

    if isinstance(loader, SparseDataLoader):
        recorder = _Recorder(PADDING)
    else:
        recorder = _Recorder(_STOCK_PADDING)
        loader._data = _MaskedApart(loader._data)
    transforms: list[Any] = []
    for transform in loader.transforms.transforms:
        if isinstance(transform, RemoveLabelTransform | ResolvePadding):
            if recorder not in transforms:
                transforms.append(recorder)
        elif isinstance(transform, SpatialTransform):
            transform = copy.copy(transform)  # noqa: PLW2901 - watched in this loader alone
            recorder.watch(transform)
        transforms.append(transform)
    if recorder not in transforms:
        raise NoBatchesError("the trainer's transforms do not say which voxels are padding")
    return recorder, ComposeTransforms(transforms)


def _annotation_only(transforms: ComposeTransforms, ignore_label: int) -> ComposeTransforms:
    """The transforms without those that change neither what is annotated nor where it stands."""
    kept = [t for t in transforms.transforms if not _changes_images_only(t)]
    return ComposeTransforms([_OnlyAnnotated(ignore_label), *kept])


def _changes_images_only(transform: Any) -> bool:
    inner = transform.transform if isinstance(transform, RandomTransform) else transform
    return isinstance(inner, ImageOnlyTransform | MaskImageTransform)


@contextlib.contextmanager
def _nothing_kept() -> Iterator[None]:
    """Let trainers write their folders into a temporary one, and load in this process."""
    with tempfile.TemporaryDirectory(prefix="nnsparse_doctor_") as folder:
        changes = {
            "nnUNet_results": folder,
            "nnUNet_n_proc_DA": "0",
            "nnUNet_compile": "false",
            "nnUNet_wandb_enabled": "0",
        }
        with environment(changes):
            yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what nnU-Net prints; cases without annotation are a finding of their own."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
