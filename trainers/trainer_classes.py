"""Trainer classes by name: ours, then those that nnU-Net finds.

What a trainer of ours is called is known without importing it, since that takes seconds.
"""

from importlib import import_module
from typing import Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.paper_recipes import PAPER

OWN_TRAINER = "SparseTrainer"
STOCK_TRAINER = "nnUNetTrainer"

OURS: dict[str, str] = {
    OWN_TRAINER: "nnunet_sparse.trainers.sparse_trainer",
    **dict.fromkeys(PAPER, "nnunet_sparse.trainers.paper_trainers"),
}
"""Names of our trainers, and the modules that hold them."""


def own_trainer(name: str) -> Any:
    """Class of one of our trainers.

    Parameters
    ----------
    name
        One of ``OURS``.
    """
    return getattr(import_module(OURS[name]), name)


def find_trainer(name: str) -> Any:
    """Class of any trainer.

    Raises
    ------
    SparseError
        If neither we nor nnU-Net have one of that name.
    """
    if name in OURS:
        return own_trainer(name)
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    try:
        return recursive_find_trainer_class_by_name(name)
    except (RuntimeError, AssertionError) as error:
        raise SparseError(
            f"nnU-Net finds no trainer {name!r}; trainers of other projects are looked for in "
            "the folders that nnUNet_extTrainer names"
        ) from error
