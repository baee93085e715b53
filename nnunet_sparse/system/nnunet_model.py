"""Where nnU-Net keeps what it has trained: ``RESULTS/DATASET/TRAINER__PLANS__CONFIGURATION``."""

from pathlib import Path

FINAL_CHECKPOINT = "checkpoint_final.pth"
ALL_CASES = "all"
"""Fold that is trained on all cases."""
Fold = int | str
"""Number of a fold or repeat, or ``all``."""


def nnunet_model_name(trainer: str, plans: str, configuration: str) -> str:
    """Name of the folder of a network, below that of its data set."""
    return f"{trainer}__{plans}__{configuration}"


def fold_folder(model: Path, repeat: int) -> Path:
    """Folder of one of the trainings of a network."""
    return model / f"fold_{repeat}"
