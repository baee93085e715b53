"""Patches as a trainer of nnU-Net draws them, with padding told apart from background."""

import contextlib
import copy
import io
import math
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.raw_dataset import read_dataset_json
from nnunet_sparse.doctor.batch_recorder import (
    BatchRecorder,
    NoBatchesError,
    annotation_transforms,
    record_batches,
)
from nnunet_sparse.doctor.patch import IGNORED, Patch
from nnunet_sparse.doctor.subject import Subject
from nnunet_sparse.system.env import environment
from nnunet_sparse.system.foreign_code import explained
from nnunet_sparse.trainers.trainer_classes import find_trainer

SEED = 20250101
# about half a minute on one core for patches of any size
_VOXELS_PER_RUN = 60 * 128**3
_MIN_PATCHES, _MAX_PATCHES = 60, 400


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
    recorder: BatchRecorder
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
            self.loader.transforms = annotation_transforms(self.transforms, self.ignore_label)

        for number in range(num_batches):
            self.recorder.clear()
            with (
                explained(
                    lambda error: f"batches cannot be drawn: {first_line(error)}", NoBatchesError
                ),
                seeded(SEED, number),
                _quiet(),
            ):
                batch = next(self.loader)
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
        with explained(
            lambda error: f"{trainer} cannot draw batches: {first_line(error)}", NoBatchesError
        ):
            made = _make_trainer(subject, configuration, trainer_class)
            # only training batches are wanted, and nnU-Net would write a missing split file
            made.do_split = lambda: (list(cases), list(cases))
            # where patches are augmented changes nothing, and here it is done by the loader
            if hasattr(made, "settings"):
                made.settings = made.settings.replaced({"augmentation_on": "workers"})
            # batches of a later stage have further channels, from files that may not exist
            made.is_cascaded, made.folder_with_segs_from_previous_stage = False, None
            made._set_batch_size_and_oversample()
            training, _ = made.get_dataloaders()
            weights = getattr(made._build_loss(), "weight_factors", None) or (1.0,)
        loader = getattr(training, "data_loader", None) or training.loader
        recorder, transforms = record_batches(loader)
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
    exists = (subject.preprocessed / "dataset.json").is_file()
    content = read_dataset_json(subject.preprocessed) if exists else subject.raw.dataset_json
    return trainer_class(plans, configuration, 0, content, torch.device("cpu"))


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
