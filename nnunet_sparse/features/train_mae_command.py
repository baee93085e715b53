"""The command ``nnsparse_train_mae``."""

import argparse
from collections.abc import Sequence

from nnunet_sparse.data.dataset_options import add_dataset_option
from nnunet_sparse.data.training_images import find_training_images
from nnunet_sparse.features.feature_store import slice_features
from nnunet_sparse.features.image_network_options import add_training_options
from nnunet_sparse.features.mae_options import add_mae_options, mae_request
from nnunet_sparse.system.command import CommandParser, run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_train_mae",
        "Train a masked autoencoder on the slices of a data set's training images, and compute the "
        "features of these slices, by which the selectors ual and coreset choose. Labels are not "
        "looked at, validation and test images neither.",
        "nnsparse_train_mae -d 4",
    )
    add_dataset_option(parser, "data set in nnUNet_raw", dest="base")
    add_mae_options(parser)
    add_training_options(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    images = find_training_images(args)
    mae = mae_request(args)
    model = mae.train(images, args.num_processes, args.overwrite)
    features = slice_features(images, mae, args.num_processes)
    count = sum(len(values) for values in features.values.values())
    print(
        f"features: {count} slices of {len(features.values)} training volumes, axis {images.axis}"
    )
    print(f"folder:   {model.path} (loss.png, reconstructions.png)")
