"""Trainers whose network and recipe are fixed, and can be changed key by key in the plans."""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn
from torch._dynamo import OptimizedModule

from nnunet_sparse.architectures.architecture import architecture_dimensions, build_network
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.trainers.role_loader import NoCentreError, RoleDataLoader, centre_groups
from nnunet_sparse.trainers.sparse_loader import SparseDataLoader
from nnunet_sparse.trainers.sparse_trainer import Part, SparseTrainer
from nnunet_sparse.training.augmentation import sparse_transforms
from nnunet_sparse.training.losses import build_loss
from nnunet_sparse.training.paper_recipes import PaperTrainer
from nnunet_sparse.training.pretrained import find_weights
from nnunet_sparse.training.recipe import DECIDED_BY_RECIPE, Recipe
from nnunet_sparse.training.recipe_augmentation import (
    flip_axes,
    initial_patch_size,
    recipe_transforms,
)
from nnunet_sparse.training.roles import class_weights, resolve_roles
from nnunet_sparse.training.schedules import IterationSchedule, learning_rate
from nnunet_sparse.training.settings import BLOCK, TrainingSettings

RECIPE_FILE = "recipe.json"
# at least so many during a training
_NUM_CHECKPOINTS = 10


class RecipeTrainer(SparseTrainer):
    """Trains one network by one recipe; subclasses name both.

    The recipe of the class, changed by ``recipe`` in the settings of the plans, decides everything
    but batch size, patch size and spacing, which are the plans'. Of the other settings
    ``num_iterations_per_epoch``, ``num_val_iterations_per_epoch``, ``save_every``, ``padding``,
    ``label_interpolation`` and ``augmentation_on`` count. There is no deep supervision.
    ``recipe.json`` in the training's folder holds the recipe in force. What is nnU-Net's: gradients
    are clipped to a norm of 12, CUDA trains with automatic mixed precision, and predictions are
    averaged over mirrored images, here mirrored along the axis that the augmentation flips.

    Attributes
    ----------
    paper
        The network and the recipe.
    """

    paper: ClassVar[PaperTrainer]

    def _read_plans(
        self, plans: dict[str, Any], configuration: str, dataset_json: dict[str, Any]
    ) -> None:
        manager = PlansManager(plans).get_configuration(configuration)
        if manager.previous_stage_name is not None:
            raise SparseError(f"{type(self).__name__} does not train in a cascade")
        self.recipe = self._recipe_of(manager)
        self.roles = resolve_roles(dataset_json, self.recipe.roles)
        super()._read_plans(plans, configuration, dataset_json)
        self.record = self._record_of(plans, configuration, dataset_json)
        self.begun_with: dict[str, Any] | None = None
        self.weights_source = "none"
        self.fresh_weights = 0.0

    def _apply_settings(self) -> None:
        super()._apply_settings()
        self.enable_deep_supervision = False
        self.initial_lr = self.recipe.initial_lr
        self.weight_decay = self.recipe.weight_decay
        # uniform over annotated slices in 2d; voxels are drawn by role in 3d
        self.oversample_foreground_percent = 0.0
        self.iterations_per_epoch = min(self.num_iterations_per_epoch, self.recipe.iterations)
        self.num_iterations_per_epoch = self.iterations_per_epoch
        self.num_epochs = -(-self.recipe.iterations // self.iterations_per_epoch)
        # nnU-Net's 50 epochs are nearly all that there are
        self.save_every = min(self.save_every, max(1, self.num_epochs // _NUM_CHECKPOINTS))

    @classmethod
    def _recipe_of(cls, manager: ConfigurationManager) -> Recipe:
        """Recipe in force for a configuration."""
        settings = TrainingSettings.from_block(manager.configuration.get(BLOCK, {}))
        recipe = cls.paper.recipe.replaced(settings.recipe)
        dimensions = architecture_dimensions(cls.paper.architecture)
        if len(manager.patch_size) != dimensions:
            raise SparseError(
                f"{cls.__name__} trains a network of {dimensions} dimensions, the patches of this "
                f"configuration have {len(manager.patch_size)}: choose "
                f"{'2d' if dimensions == 2 else '3d_fullres'}"
            )
        return recipe

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,  # noqa: ARG003
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = False,  # noqa: ARG003
    ) -> nn.Module:
        """Build the network with fresh weights; nnU-Net's inference calls this too."""
        recipe = cls._recipe_of(configuration_manager)
        return build_network(
            cls.paper.architecture,
            num_input_channels,
            num_output_channels,
            configuration_manager.patch_size,
            recipe.network,
        )

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Do nothing: the networks have one output."""

    def initialize(self) -> None:
        """Build everything, and remember the weights."""
        super().initialize()
        self.fresh_weights = self._sum_of_weights()

    def load_checkpoint(self, filename_or_checkpoint: dict[str, Any] | str) -> None:
        """Load a checkpoint of this training; with another network it is refused."""
        content: Any = filename_or_checkpoint
        if not isinstance(content, dict):
            # mapped, since the weights are not needed here
            content = torch.load(content, map_location="cpu", mmap=True, weights_only=False)
        begun = content["init_args"]
        self.begun_with = self._record_of(
            begun["plans"], begun["configuration"], begun["dataset_json"]
        )
        self._check_unchanged(("network",))
        super().load_checkpoint(filename_or_checkpoint)

    def on_train_start(self) -> None:
        """Load pretrained weights where a training starts, and write down its recipe."""
        file = Path(self.output_folder) / RECIPE_FILE
        if self.begun_with is None:
            self._start_from_weights()
        else:
            self._check_unchanged()
            self.weights_source = _weights_of(file)
        if self.local_rank == 0:
            write_json(file, self.record | {"weights": self.weights_source})
            self._log_recipe(file)
        super().on_train_start()

    def _check_unchanged(self, keys: Collection[str] | None = None) -> None:
        """Refuse to go on with another recipe than that of the checkpoint."""
        before, now = (
            record["recipe"] | {key: value for key, value in record.items() if key != "recipe"}
            for record in (self.begun_with or self.record, self.record)
        )
        changed = [key for key in sorted(now) if before[key] != now[key]]
        changed = [key for key in changed if keys is None or key in keys]
        if changed:
            raise SparseError(
                f"the training in {self.output_folder} was begun with another recipe "
                f"({', '.join(changed)}): give the changed plans another name (-p), or start anew "
                "without --c"
            )

    def _start_from_weights(self) -> None:
        # before anything else, so that it fails at once
        needed = self.recipe.pretrained and not self._has_given_weights()
        source = find_weights(self.paper.architecture) if needed else None
        if not self.was_initialized:
            self.initialize()
        if source is not None:
            self._module().load_pretrained(source)
            self.weights_source = source.name
            self.print_to_log_file(f"The encoder starts from the pretrained weights {source}")
        elif self._has_given_weights():
            self.weights_source = "-pretrained_weights"
            self.print_to_log_file("The network starts from the weights that it was given")
        else:
            self.print_to_log_file(
                "The network is trained from scratch, without pretrained weights"
            )

    def _has_given_weights(self) -> bool:
        """Whether weights were loaded after initialisation, as ``-pretrained_weights`` does."""
        return self.was_initialized and self._sum_of_weights() != self.fresh_weights

    def _sum_of_weights(self) -> float:
        return float(sum(p.detach().double().sum() for p in self.network.parameters()))

    def _module(self) -> Any:
        """The network without the wrappers for several GPUs and for compiling."""
        network: Any = self.network.module if self.is_ddp else self.network
        return network._orig_mod if isinstance(network, OptimizedModule) else network

    @classmethod
    def _record_of(
        cls, plans: dict[str, Any], configuration: str, dataset_json: dict[str, Any]
    ) -> dict[str, Any]:
        """The recipe in force, and what becomes of it with these plans and this data set."""
        plans_manager = PlansManager(plans)
        manager = plans_manager.get_configuration(configuration)
        settings = TrainingSettings.from_block(manager.configuration.get(BLOCK, {}))
        recipe = cls._recipe_of(manager)
        roles = resolve_roles(dataset_json, recipe.roles)
        num_classes = plans_manager.get_label_manager(dataset_json).num_segmentation_heads
        return {
            "trainer": cls.__name__,
            "architecture": cls.paper.architecture,
            "recipe": recipe.to_dict(),
            "labels_of_roles": {role: list(values) for role, values in roles.items()},
            "class_weights": class_weights(roles, recipe.class_weights, num_classes),
            "num_iterations_per_epoch": min(settings.num_iterations_per_epoch, recipe.iterations),
            "padding": settings.padding,
            "label_interpolation": settings.label_interpolation,
            "batch_size": manager.batch_size,
            "patch_size": [int(side) for side in manager.patch_size],
            "spacing": [float(mm) for mm in manager.spacing],
        }

    def _log_recipe(self, file: Path) -> None:
        self.print_to_log_file(
            "The recipe decides in place of these settings of the plans: "
            f"{', '.join(DECIDED_BY_RECIPE)}"
        )
        if self.recipe.patch_centres and self._is_flat:
            self.print_to_log_file("recipe.patch_centres is for 3d and is not used")
        if self.recipe.class_weights and "ce" not in self.recipe.loss.split("_"):
            self.print_to_log_file(
                f"recipe.class_weights is for cross entropy and is not used by {self.recipe.loss}"
            )
        number = sum(p.numel() for p in self.network.parameters())
        self.print_to_log_file(f"{number} parameters; the recipe in force is in {file}")

    @property
    def _is_flat(self) -> bool:
        return len(self.configuration_manager.patch_size) == 2

    @property
    def ignore_label(self) -> int:
        """Target of voxels that are not annotated; a value that no voxel has in dense data."""
        declared = self.label_manager.ignore_label
        return int(max(self.label_manager.all_labels) + 1 if declared is None else declared)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Optimizer and schedule of the recipe."""
        recipe, parameters = self.recipe, self.network.parameters()
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(
                parameters,
                recipe.initial_lr,
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay,
            )
        else:
            kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
            optimizer = kind(parameters, recipe.initial_lr, weight_decay=recipe.weight_decay)
        return optimizer, IterationSchedule(optimizer, self.rate_of, self.iterations_per_epoch)

    def rate_of(self, iteration: int) -> float:
        """Learning rate of an iteration, counted from 0 over the whole training."""
        recipe = self.recipe
        return learning_rate(
            recipe.schedule,
            iteration,
            initial_lr=recipe.initial_lr,
            iterations=recipe.iterations,
            power=recipe.power,
            factor=recipe.factor,
            period=recipe.period,
        )

    def on_train_epoch_start(self) -> None:
        """Let the last epoch end with the last iteration of the recipe."""
        left = self.recipe.iterations - self.current_epoch * self.iterations_per_epoch
        self.num_iterations_per_epoch = min(self.iterations_per_epoch, left)
        super().on_train_epoch_start()
        # nnU-Net rounds to five decimals
        first = self.current_epoch * self.iterations_per_epoch
        self.print_to_log_file(f"Learning rate of iteration {first}: {self.rate_of(first):.6g}")

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One iteration, and the learning rate of the next."""
        result: dict[str, Any] = super().train_step(batch)
        self.lr_scheduler.advance()
        return result

    def _build_loss(self) -> nn.Module:
        recipe = self.recipe
        return build_loss(
            recipe.loss,
            self.ignore_label,
            class_weights=self.record["class_weights"],
            smooth=recipe.dice_smooth,
            gamma=recipe.focal_gamma,
        ).to(self.device)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802 - nnU-Net's name
        self,
    ) -> tuple[Any, bool, list[int], tuple[int, ...]]:
        """Size of the patches that are read, and the mirrored axes."""
        manager = self.configuration_manager
        mirrored = flip_axes(self.plans_manager.transpose_forward, len(manager.patch_size))
        flips = "flip" in self.recipe.augmentation
        self.inference_allowed_mirroring_axes = mirrored if flips else None
        size = initial_patch_size(self.recipe, manager.patch_size, self._patch_spacing())
        return (0.0, 0.0), False, size, mirrored

    def get_training_transforms(
        self,
        patch_size: Any,
        rotation_for_DA: Any,  # noqa: ARG002, N803 - nnU-Net's name
        deep_supervision_scales: Any,  # noqa: ARG002
        mirror_axes: tuple[int, ...],
        do_dummy_2d_data_aug: bool,  # noqa: ARG002
        use_mask_for_norm: list[bool] | None = None,
        **_: Any,
    ) -> Any:
        """Augmentation of the recipe."""
        masked = [i for i, used in enumerate(use_mask_for_norm or ()) if used]
        return recipe_transforms(
            self.recipe, patch_size, self._patch_spacing(), mirror_axes, masked
        )

    def _patch_spacing(self) -> list[float]:
        """Spacing in mm along the axes of a patch."""
        manager = self.configuration_manager
        return [float(mm) for mm in manager.spacing][-len(manager.patch_size) :]

    def _draws_as_stock(self) -> bool:
        return False

    def _own_loader(self, stock: Any, part: Part) -> SparseDataLoader:
        settings = self.settings
        if not self.label_manager.has_ignore_label:
            # nothing else could be told from it
            settings = settings.replaced({"padding": "background"})
        settings = settings.replaced({"targets": "nearest"})
        transforms = sparse_transforms(stock.transforms, settings, self.ignore_label)
        if self._is_flat:
            return SparseDataLoader(
                stock, self.label_manager, transforms, placement="inside", slice_sampling="uniform"
            )
        groups = centre_groups(self.recipe.patch_centres, self.roles)
        loader_of = partial(
            RoleDataLoader, stock, self.label_manager, transforms, self.recipe.placement
        )
        try:
            return loader_of(groups)
        except NoCentreError as error:
            if part == "training":
                raise
            self.print_to_log_file(f"{error}: validation patches are drawn uniformly")
            return loader_of(())


def _weights_of(file: Path) -> str:
    """Weights that a training which is continued has started from."""
    try:
        return str(load_json(file)["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"
