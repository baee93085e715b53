"""What the command says about trainings after planning: their command lines and memory."""

from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.data.declared_labels import without_ignore
from nnunet_sparse.data.folds import SPLITS_FILE, is_cross_validation, read_splits
from nnunet_sparse.data.plans_configuration import Plans, configuration_of
from nnunet_sparse.data.raw_dataset import read_dataset_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import command_line
from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.roles import resolve_roles
from nnunet_sparse.training.settings import BLOCK


def training_lines(trainer: str, plans: Plans, configuration: str, preprocessed: Path) -> list[str]:
    """Command line of a training and its memory; or why the trainer cannot use these plans.

    Parameters
    ----------
    trainer
        Name of any trainer.
    plans
        Plans of the data set.
    configuration
        Configuration of the plans.
    preprocessed
        Folder of the data set in ``nnUNet_preprocessed``.
    """
    options = ("-tr", trainer, "-p", plans["plans_name"])
    line = command_line("nnUNetv2_train", preprocessed.name, configuration, 0, *options)
    command = f"train: {line}"
    if trainer not in PAPER:
        return [command]
    try:
        return [command, f"memory: {_memory(trainer, plans, configuration, preprocessed)}"]
    except SparseError as error:
        return [f"note: {trainer} cannot use these plans: {error}"]


def comparison_line(
    trainer: str, plans: Plans, configurations: Sequence[str], preprocessed: Path
) -> str:
    """Command line by which nnU-Net compares configurations that have been trained.

    By one repeat, since repeats share their validation cases and nnU-Net merges those of folds; of
    a cross-validation by all folds, with ensembles (which need trainings with ``--npz``).

    Parameters
    ----------
    trainer, plans, preprocessed
        As for :func:`training_lines`.
    configurations
        What is compared.
    """
    folds, options = ["0"], " --disable_ensembling"
    splits = preprocessed / SPLITS_FILE
    if splits.is_file() and is_cross_validation(found := read_splits(splits)):
        folds = [str(k) for k in range(len(found))]
        options = " (after trainings with --npz, else with --disable_ensembling)"
    chosen = ("-f", *folds, "-c", *configurations, "-tr", trainer, "-p", plans["plans_name"])
    line = command_line("nnUNetv2_find_best_configuration", preprocessed.name, *chosen)
    return f"compare: {line}{options}"


def _memory(trainer: str, plans: Plans, configuration: str, preprocessed: Path) -> str:
    """Estimate of the memory that a training needs.

    Raises
    ------
    SparseError
        If the network or the roles of the labels do not fit.
    """
    from nnunet_sparse.training.memory import training_memory

    paper, planned = PAPER[trainer], configuration_of(plans, configuration)
    recipe = paper.recipe.replaced(planned.get(BLOCK, {}).get("recipe", {}))
    dataset_json = read_dataset_json(preprocessed)
    resolve_roles(dataset_json, recipe.roles)
    labels = without_ignore(dataset_json["labels"])
    memory = training_memory(
        paper.architecture,
        len(dataset_json["channel_names"]),
        len(labels),
        planned["patch_size"],
        planned["batch_size"],
        recipe.network,
        recipe.optimizer,
    )
    size = "x".join(str(side) for side in planned["patch_size"])
    return (
        f"{trainer} with {planned['batch_size']} patches of {size}: "
        f"{memory.num_parameters / 1e6:.3g} M parameters, an estimated {_gib(memory.least)} to "
        f"{_gib(memory.most)} GiB (mixed precision, float32)"
    )


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.2g}" if num_bytes < 10 * 2**30 else f"{num_bytes / 2**30:.0f}"
