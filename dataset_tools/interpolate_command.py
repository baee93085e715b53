"""The command ``nnsparse_interpolate``."""

import argparse
from collections.abc import Sequence

from nnunet_sparse.dataset_tools.interpolate import InterpolatedDataset, interpolate_dataset
from nnunet_sparse.interpolation.interpolator_presets import DEFAULT_INTERPOLATOR_PRESET
from nnunet_sparse.interpolation.request import METHODS, NETWORK_METHOD, Interpolation
from nnunet_sparse.interpolation.train_interpolator_command import (
    add_network_arguments,
    parse_changes,
)
from nnunet_sparse.system.command import (
    CommandParser,
    add_num_processes,
    positive_int,
    run_command,
)
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import configured_paths

NETWORK_OPTIONS = ("preset", "interpolator_seed", "change")
"""Options that mean nothing without a network."""

INTERPOLATION_OPTIONS = ("one_way", "verify", "min_confidence", *NETWORK_OPTIONS)
"""Options that mean nothing without an interpolation."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_interpolate",
        "Make a dense data set from a slice-sparse one: the labels of its annotated slices are "
        "carried to the slices between them.",
        "nnsparse_interpolate -d 500 --method shape",
    )
    parser.add_argument(
        "-d",
        dest="dataset",
        metavar="ID|NAME",
        required=True,
        help="data set in nnUNet_raw that nnsparse_make_dataset has made",
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        help="correspondence: by a network that finds each pixel's like in the next slice, trained "
        "where that has not been done; shape: by signed distances; nearest: by copying (default: "
        "%(default)s)",
    )
    add_interpolation_arguments(parser)
    parser.add_argument("-device", metavar="DEVICE", help="cpu or cuda (default: cuda if there is)")
    parser.add_argument(
        "--id", type=positive_int, dest="dataset_id", help="ID of the new data set (default: free)"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a data set of the same name that has other content",
    )
    add_num_processes(parser)
    return run_command(parser, _run, argv)


def add_interpolation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of an interpolation."""
    group = parser.add_argument_group("interpolation")
    group.add_argument(
        "--one_way",
        action="store_true",
        help="with correspondence: algorithm 1 as published, a slice gets what arrives first "
        "(default: the mean of what arrives from both sides, by distance)",
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="with correspondence: drop a label where the image is unlike its object",
    )
    group.add_argument(
        "--min_confidence",
        type=float,
        default=0.0,
        metavar="T",
        help="voxels of less confidence stay ignore, in 0..1 (default: %(default)s)",
    )
    add_network_arguments(group, of_any_method=True)


def interpolation_of(method: str, args: argparse.Namespace) -> Interpolation:
    """Interpolation that a command line asks for."""
    if method != NETWORK_METHOD:
        for name in NETWORK_OPTIONS:
            if getattr(args, name):
                raise SparseError(f"--{name} works with {NETWORK_METHOD}, not with {method}")
    return Interpolation(
        method,
        args.one_way,
        args.verify,
        args.min_confidence,
        args.preset or DEFAULT_INTERPOLATOR_PRESET,
        args.interpolator_seed,
        parse_changes(args.change),
    )


def report(result: InterpolatedDataset) -> str:
    """What was made, and what comes next."""
    made = "made:       " if result.created else "exists:     "
    return "\n".join(
        [
            f"{made}{result.folder}",
            f"next:       nnsparse_plan_and_preprocess -d {result.folder.name}",
        ]
    )


def _run(args: argparse.Namespace) -> None:
    interpolation = interpolation_of(args.method, args)
    check_device(args.device)
    result = interpolate_dataset(
        configured_paths(),
        args.dataset,
        interpolation,
        device=args.device,
        dataset_id=args.dataset_id,
        num_processes=args.num_processes,
        overwrite=args.overwrite,
    )
    print(report(result))
