"""The command ``nnsparse_train_interpolator``."""

import argparse
from collections.abc import Sequence

from nnunet_sparse.data.dataset_options import add_dataset_option
from nnunet_sparse.data.training_images import find_training_images
from nnunet_sparse.features.image_network_options import add_training_options
from nnunet_sparse.interpolation.interpolation_options import add_network_options, parse_changes
from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.options import add_device_option


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_train_interpolator",
        "Train the network that carries labels from annotated slices to their neighbours, on the "
        "slices of a data set's training images. Labels are not looked at, validation and test "
        "images neither.",
        "nnsparse_train_interpolator -d 4",
    )
    add_dataset_option(parser, "data set in nnUNet_raw", dest="base")
    group = parser.add_argument_group("interpolator", "the network and how it is trained")
    add_network_options(group)
    add_device_option(group)
    add_training_options(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    changes = parse_changes(args.change)
    request = InterpolatorRequest(args.preset, args.interpolator_seed, args.device, changes)
    images = find_training_images(args)
    model = request.train(images, args.num_processes, args.overwrite)
    request.restore(model)  # refuses one that is damaged
    print(f"trained on: {len(images.cases)} training volumes, axis {images.axis}")
    print(f"folder:     {model.path} (loss.png, reconstructions.png)")
