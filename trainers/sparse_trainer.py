"""nnU-Net's trainer with settings from the plans, seeded repeats and safe checkpoints."""

from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import torch
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import distributed as dist

from nnunet_sparse.system.atomic import atomic_path, remove_leftovers
from nnunet_sparse.system.env import environment
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.trainers import repeats
from nnunet_sparse.trainers.few_cases import are_few, without_pools
from nnunet_sparse.trainers.progress_figure import WithoutFigure
from nnunet_sparse.trainers.seeding import (
    SeededAugmentation,
    Stream,
    seed_everything,
    seeded_batches,
)
from nnunet_sparse.trainers.sparse_loader import NoAnnotationError, SparseDataLoader
from nnunet_sparse.training.augmentation import sparse_transforms
from nnunet_sparse.training.device_transforms import DeviceAugmentation
from nnunet_sparse.training.settings import BLOCK, STOCK, TrainingSettings

Part = Literal["training", "validation"]

_DEFAULT_DEVICE = torch.device("cuda")
# drawing progress.png takes longer than short epochs
_SECONDS_BETWEEN_FIGURES = 30.0


class SparseTrainer(nnUNetTrainer):  # type: ignore[misc]
    """nnU-Net's training as a seeded repeat.

    It differs from ``nnUNetTrainer`` in this: the settings are read from the block ``"nnsparse"``
    of the configuration; repeat k (nnU-Net's fold k) fixes the initial weights and every batch;
    cases that are not preprocessed are left out of the split; a checkpoint replaces its
    predecessor in one step. Where the data set has an ignore label, batches and targets of deep
    supervision are made in a way of our own, also without the block: its settings have their
    defaults then. Without an ignore label, without the block and with nnU-Net's own plans it trains
    as nnU-Net does.
    """

    # nnU-Net reads the parameters of __init__ by name: there must be no others
    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = _DEFAULT_DEVICE,
    ) -> None:
        # refused before nnU-Net makes an output folder
        self._read_plans(plans, configuration, dataset_json)
        if nnUNet_preprocessed.is_set():
            repeats.check_repeat(fold, _splits_file(plans["dataset_name"]))
        super().__init__(plans, configuration, fold, dataset_json, device)
        self._figure_drawn = monotonic()
        self._apply_settings()

    def _read_plans(
        self,
        plans: dict[str, Any],
        configuration: str,
        dataset_json: dict[str, Any],  # noqa: ARG002 - for trainers that derive from this one
    ) -> None:
        """Take from the plans what the training depends on; nnU-Net has set nothing yet.

        Raises
        ------
        SparseError
            If they hold something that this trainer cannot use.
        """
        block = PlansManager(plans).get_configuration(configuration).configuration.get(BLOCK, {})
        self.settings = TrainingSettings.from_block(block)

    def _apply_settings(self) -> None:
        """Put what was read from the plans in the place of nnU-Net's values."""
        self.num_epochs = self.settings.num_epochs
        self.num_iterations_per_epoch = self.settings.num_iterations_per_epoch
        self.num_val_iterations_per_epoch = self.settings.num_val_iterations_per_epoch
        self.initial_lr = self.settings.initial_lr
        self.weight_decay = self.settings.weight_decay
        self.oversample_foreground_percent = self.settings.oversample_foreground_percent
        self.save_every = self.settings.save_every

    def initialize(self) -> None:
        """Build the network from the weights of this repeat, then everything else."""
        if self.preprocessed_dataset_folder is not None:
            repeats.check_preprocessed(Path(self.preprocessed_dataset_folder))
        seed_everything(Stream.WEIGHTS, self.fold)
        super().initialize()

    def _set_batch_size_and_oversample(self) -> None:
        """Share a batch among the processes of a training on several GPUs, in equal parts.

        Raises
        ------
        SparseError
            If the parts would differ: gradients are averaged over the processes, so that patches of
            a smaller part would count more, and nnU-Net's Dice over a batch gathers equal parts.
        """
        if self.is_ddp:
            size, num_gpus = self.configuration_manager.batch_size, dist.get_world_size()
            if size % num_gpus:
                raise SparseError(
                    f"a batch of {size} patches cannot be shared equally by {num_gpus} GPUs: "
                    "choose -num_gpus so that it divides batch_size in the plans, or change that"
                )
        super()._set_batch_size_and_oversample()

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Build the optimizer that the settings name, and nnU-Net's learning rate schedule."""
        if self.settings.optimizer == "sgd":
            return super().configure_optimizers()  # type: ignore[no-any-return]
        optimizer = torch.optim.AdamW(
            self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay
        )
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def do_split(self) -> tuple[list[str], list[str]]:
        """Cases of this repeat that are preprocessed: training, validation.

        Raises
        ------
        SparseError
            If the split file lacks the repeat, no training or no validation case is left, or a
            cascade lacks predictions of the previous stage.
        """
        repeats.check_repeat(self.fold, _splits_file(self.plans_manager.dataset_name))
        repeats.check_preprocessed(Path(self.preprocessed_dataset_folder))
        training, validation = super().do_split()
        training = self._existing("training", training)
        if self.is_cascaded:
            repeats.check_previous_stage(
                training, Path(self.folder_with_segs_from_previous_stage), self.fold
            )
        return training, self._existing("validation", validation)

    def _existing(self, part: Part, cases: list[str]) -> list[str]:
        folder = Path(self.preprocessed_dataset_folder)
        found, missing = repeats.split_existing(cases, repeats.preprocessed_cases(folder))
        if missing:
            self.print_to_log_file(repeats.missing_message(part, found, missing))
        if not found:
            raise SparseError(
                f"repeat {self.fold} has no {part} case: its split names {len(cases)}, none of "
                f"them is in {folder} (nnsparse_plan_and_preprocess puts them there)"
            )
        return found

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Batches of this repeat, from the current epoch on."""
        num_workers = get_allowed_n_proc_DA()
        # nnU-Net's loaders are to run in this process: they are replaced
        with environment({"nnUNet_n_proc_DA": "0"}):
            stock_training, stock_validation = super().get_dataloaders()
        training = self._sparse_loader(stock_training.data_loader, "training")
        validation = self._sparse_loader(stock_validation.data_loader, "validation")
        return (
            self._seeded(
                training, Stream.TRAINING_BATCHES, self.num_iterations_per_epoch, num_workers
            ),
            self._seeded(
                validation,
                Stream.VALIDATION_BATCHES,
                self.num_val_iterations_per_epoch,
                max(1, num_workers // 2) if num_workers else 0,
            ),
        )

    def _seeded(self, loader: Any, stream: Stream, batches_per_epoch: int, num_workers: int) -> Any:
        """Batches of a loader with the seeds of this repeat, from the current epoch on."""
        seed, first = (stream, self.fold, self.local_rank), self.current_epoch * batches_per_epoch
        augmentation = None
        if self.settings.augmentation_on == "device":
            augment = DeviceAugmentation(loader.transforms, self.device)
            augmentation = SeededAugmentation(
                augment, self.device, (Stream.AUGMENTATION, *seed), first
            )
            loader.transforms = None
        return seeded_batches(
            loader,
            seed=seed,
            first=first,
            num_workers=num_workers,
            pin_memory=self.device.type == "cuda",
            then=augmentation,
        )

    def _sparse_loader(self, stock: Any, part: Part) -> Any:
        """The loader that the settings ask for in place of nnU-Net's."""
        _fix_choice_of_blur(stock.transforms)
        if self._draws_as_stock():
            return stock
        try:
            return self._own_loader(stock, part)
        except NoAnnotationError as error:
            if part == "training":
                raise
            self.print_to_log_file(f"{error}; the validation after each epoch says nothing")
            return stock

    def _draws_as_stock(self) -> bool:
        """Whether batches are made by nnU-Net's own loader."""
        return not self.label_manager.has_ignore_label or self.settings.samples_as_stock

    def _own_loader(self, stock: Any, part: Part) -> SparseDataLoader:  # noqa: ARG002
        """Our loader for the training or validation batches of one of nnU-Net's."""
        transforms = sparse_transforms(
            stock.transforms, self.settings, self.label_manager.ignore_label
        )
        return SparseDataLoader(
            stock,
            self.label_manager,
            transforms,
            placement=self.settings.placement,
            slice_sampling=self.settings.slice_sampling,
        )

    def _build_loss(self) -> Any:
        """nnU-Net's loss, with the smoothing of the Dice term that the settings ask for."""
        loss = super()._build_loss()
        compound = loss.loss if isinstance(loss, DeepSupervisionWrapper) else loss
        # other trainers of nnU-Net have the Dice loss alone, or none
        dice = getattr(compound, "dc", compound)
        # torch.compile wraps the term
        dice = getattr(dice, "_orig_mod", dice)
        if self.settings.dice_smooth != STOCK["dice_smooth"]:
            if not hasattr(dice, "smooth"):
                raise SparseError(
                    f"dice_smooth={self.settings.dice_smooth} needs a Dice loss, and "
                    f"{type(self).__name__} has {type(compound).__name__}"
                )
            dice.smooth = self.settings.dice_smooth
        return loss

    def on_train_start(self) -> None:
        """Remove what a killed run left of a checkpoint, then start as nnU-Net does."""
        if self.local_rank == 0:
            remove_leftovers(Path(self.output_folder))
        super().on_train_start()

    def on_train_epoch_start(self) -> None:
        """Seed what the network draws itself (dropout), so that a resumed run draws the same."""
        seed_everything(Stream.EPOCHS, self.fold, self.local_rank, self.current_epoch)
        super().on_train_epoch_start()

    def on_epoch_end(self) -> None:
        """End an epoch as nnU-Net does; the figure of its progress is not drawn after each."""
        is_last = self.current_epoch + 1 == self.num_epochs
        if is_last or monotonic() - self._figure_drawn >= _SECONDS_BETWEEN_FIGURES:
            super().on_epoch_end()
            self._figure_drawn = monotonic()
            return
        logger: Any = self.logger
        self.logger: Any = WithoutFigure(logger)
        try:
            super().on_epoch_end()
        finally:
            self.logger = logger

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does; a few small cases are saved and scored in this process."""
        _, cases = self.do_split()
        few = are_few(len(cases), self.plans_manager, self.label_manager)
        with without_pools() if few and not self.is_ddp else nullcontext():
            super().perform_actual_validation(save_probabilities)

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint; a kill leaves the previous one as it was."""
        if self.local_rank != 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)
            return
        with atomic_path(Path(filename)) as temporary:
            super().save_checkpoint(str(temporary))


def _fix_choice_of_blur(transform: Any) -> None:
    """Let a blur not choose its method by how fast it happens to be, which would end repeats."""
    if hasattr(transform, "benchmark"):
        transform.benchmark = False
    single = getattr(transform, "transform", None)
    several = getattr(transform, "transforms", getattr(transform, "list_of_transforms", ()))
    for inner in [*([] if single is None else [single]), *several]:
        _fix_choice_of_blur(inner)


def _splits_file(dataset_name: str) -> Path:
    return Path(nnUNet_preprocessed) / dataset_name / "splits_final.json"
