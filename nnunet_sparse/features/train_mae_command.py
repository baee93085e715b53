"""The command ``nnsparse_train_mae``."""

import argparse
from collections.abc import Sequence

from nnunet_sparse.data.training_images import find_training_images
from nnunet_sparse.features.feature_store import slice_features
from nnunet_sparse.system.command import CommandParser, add_num_processes, run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    from nnunet_sparse.dataset_tools.make_dataset_command import (
        add_mae_arguments,
        add_split_arguments,
    )

    parser = CommandParser(
        "nnsparse_train_mae",
        "Train a masked autoencoder on the slices of a data set's training images, and compute the "
        "features of these slices, by which the selectors ual and coreset choose. Labels are not "
        "looked at, validation and test images neither.",
        "nnsparse_train_mae -d 4",
    )
    parser.add_argument(
        "-d", dest="base", metavar="ID|NAME", required=True, help="data set in nnUNet_raw"
    )
    add_mae_arguments(parser)
    parser.add_argument(
        "--axis",
        default="auto",
        metavar="AXIS",
        help="slice axis, as for nnsparse_make_dataset (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="train again what is there")
    add_split_arguments(parser)
    add_num_processes(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.dataset_tools.make_dataset_command import mae_request

    images = find_training_images(args)
    mae = mae_request(args)
    model = mae.train(images, args.num_processes, args.overwrite)
    features = slice_features(images, mae, args.num_processes)
    count = sum(len(values) for values in features.values.values())
    print(
        f"features: {count} slices of {len(features.values)} training volumes, axis {images.axis}"
    )
    print(f"folder:   {model.path} (loss.png, reconstructions.png)")
