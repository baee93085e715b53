"""Options of commands that name a trained network."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_sparse.system.command import non_negative_int
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.nnunet_model import ALL_CASES, FINAL_CHECKPOINT, Fold
from nnunet_sparse.system.options import OptionHolder

if TYPE_CHECKING:
    from nnunet_sparse.prediction.trained_network import TrainedNetwork

_ONLY_WITH_MODEL = {"model_folds": "-f", "checkpoint": "-chk"}


def add_model_options(parser: OptionHolder, use: str) -> None:
    """Add the options of a trained network; ``use`` says what it is for."""
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help=f"{use}: nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION, of this data set or "
        "of another one with the same channels and labels",
    )
    parser.add_argument(
        "-f",
        dest="model_folds",
        nargs="+",
        type=fold_of,
        metavar="FOLD",
        help="folds or repeats of it, an ensemble (default: all that are trained to their end)",
    )
    parser.add_argument(
        "-chk",
        dest="checkpoint",
        metavar="FILE",
        help=f"checkpoint in the folder of each fold (default: {FINAL_CHECKPOINT})",
    )


def open_model(args: argparse.Namespace) -> "TrainedNetwork | None":
    """Network that the options of :func:`add_model_options` ask for, if they do.

    Raises
    ------
    SparseError
        If there is no such network, or there are options of one and none is named.
    """
    if args.model is None:
        for name, option in _ONLY_WITH_MODEL.items():
            if getattr(args, name):
                raise SparseError(f"{option} works with --model")
        return None
    from nnunet_sparse.prediction.trained_network import TrainedNetwork

    return TrainedNetwork.open(args.model, args.model_folds, args.checkpoint or FINAL_CHECKPOINT)


def fold_of(text: str) -> Fold:
    """Fold of that name; an argparse type."""
    return text if text == ALL_CASES else non_negative_int(text)
