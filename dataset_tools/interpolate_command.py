"""The command ``nnsparse_interpolate``."""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from nnunet_sparse.data.dataset_options import add_dataset_id_option, add_dataset_option
from nnunet_sparse.interpolation.interpolation_options import (
    add_interpolation_options,
    interpolation_of,
)
from nnunet_sparse.interpolation.methods import (
    DEFAULT_METHOD,
    interpolation_method,
    method_names,
    methods_with_model,
)
from nnunet_sparse.prediction.model_options import add_model_options, open_model
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import (
    add_device_option,
    add_num_processes_option,
    add_overwrite_option,
)
from nnunet_sparse.system.paths import configured_paths


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_interpolate",
        "Make a dense data set from a slice-sparse one: the labels of its annotated slices are "
        "carried to the slices between them.",
        "nnsparse_interpolate -d 500 --method shape",
    )
    add_dataset_option(
        parser,
        "data set in nnUNet_raw that nnsparse_make_dataset has made, or, with network, "
        "nnsparse_import",
    )
    parser.add_argument(
        "--method",
        choices=method_names(),
        default=DEFAULT_METHOD,
        help="; ".join(f"{name}: {interpolation_method(name).summary}" for name in method_names())
        + " (default: %(default)s)",
    )
    add_interpolation_options(parser)
    add_model_options(parser.add_argument_group("trained network"), "with network, what predicts")
    add_device_option(parser)
    add_dataset_id_option(parser)
    add_overwrite_option(parser, "replace a data set of the same name that has other content")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.dataset_tools.interpolate import interpolate_dataset
    from nnunet_sparse.dataset_tools.made_dataset import made_line, next_line

    interpolation = interpolation_of(args.method, args)
    model = open_model(args)
    if interpolation.uses_model != (model is not None):
        raise SparseError(f"--model and --method {methods_with_model()} go together")
    if model is not None:
        interpolation = replace(interpolation, model=model.digest)
    check_device(args.device)
    result = interpolate_dataset(
        configured_paths(),
        args.dataset,
        interpolation,
        model=model,
        device=args.device,
        dataset_id=args.dataset_id,
        num_processes=args.num_processes,
        overwrite=args.overwrite,
    )
    print(made_line(result.folder, result.created))
    print(next_line(result.folder))
