"""The command ``nnsparse_train_interpolator``."""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from nnunet_sparse.data.training_images import find_training_images
from nnunet_sparse.interpolation.interpolator_presets import (
    DEFAULT_INTERPOLATOR_PRESET,
    INTERPOLATOR_PRESETS,
    InterpolatorPreset,
)
from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest
from nnunet_sparse.system.command import (
    CommandParser,
    add_num_processes,
    non_negative_int,
    run_command,
)
from nnunet_sparse.system.errors import SparseError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    from nnunet_sparse.dataset_tools.make_dataset_command import add_split_arguments

    parser = CommandParser(
        "nnsparse_train_interpolator",
        "Train the network that carries labels from annotated slices to their neighbours, on the "
        "slices of a data set's training images. Labels are not looked at, validation and test "
        "images neither.",
        "nnsparse_train_interpolator -d 4",
    )
    parser.add_argument(
        "-d", dest="base", metavar="ID|NAME", required=True, help="data set in nnUNet_raw"
    )
    add_interpolator_arguments(parser)
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


def add_interpolator_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the interpolator."""
    group = parser.add_argument_group("interpolator", "the network and how it is trained")
    add_network_arguments(group)
    group.add_argument("-device", metavar="DEVICE", help="cpu or cuda (default: cuda if there is)")


def add_network_arguments(group: argparse._ArgumentGroup, of_any_method: bool = False) -> None:
    """Add the options that name a network; None is the default if there may be no network."""
    group.add_argument(
        "--preset",
        choices=tuple(INTERPOLATOR_PRESETS),
        default=None if of_any_method else DEFAULT_INTERPOLATOR_PRESET,
        help=f"length of the training (default: {DEFAULT_INTERPOLATOR_PRESET})",
    )
    group.add_argument(
        "--interpolator_seed",
        type=non_negative_int,
        default=0,
        metavar="SEED",
        help="seed of its training (default: %(default)s)",
    )
    group.add_argument(
        "--change",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="other values than the preset's: "
        f"{', '.join(f.name for f in fields(InterpolatorPreset))}",
    )


def parse_changes(texts: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    """Values of a preset that a command line changes.

    Raises
    ------
    SparseError
        If a change is of no value of the preset, or out of range.
    """
    kinds = {f.name: f.type for f in fields(InterpolatorPreset)}
    changes: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in kinds:
            known = ", ".join(kinds)
            raise SparseError(f"--change takes key=value with a key of {known}, got {text!r}")
        if key in changes:
            raise SparseError(f"{key} is given twice")
        try:
            changes[key] = float(value) if kinds[key] is float else int(value)
        except ValueError:
            kind = "a number" if kinds[key] is float else "a whole number"
            raise SparseError(f"{key} is {kind}, got {value!r}") from None
    return tuple(sorted(changes.items()))


def _run(args: argparse.Namespace) -> None:
    changes = parse_changes(args.change)
    request = InterpolatorRequest(args.preset, args.interpolator_seed, args.device, changes)
    images = find_training_images(args)
    model = request.train(images, args.num_processes, args.overwrite)
    request.restore(model)  # refuses one that is damaged
    print(f"trained on: {len(images.cases)} training volumes, axis {images.axis}")
    print(f"folder:     {model.path} (loss.png, reconstructions.png)")
