"""The command ``nnsparse_train_mae``."""

import argparse
from collections.abc import Sequence

from nnunet_sparse.cli import CommandParser, add_num_processes, run_command
from nnunet_sparse.dataset_name import find_dataset
from nnunet_sparse.features.store import slice_features, train_mae
from nnunet_sparse.geometry import resolve_axis
from nnunet_sparse.paths import configured_paths


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    from nnunet_sparse.dataset_tools.make_dataset_cli import add_mae_arguments, add_split_arguments

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
    from nnunet_sparse.dataset_tools.check_base import check_dataset
    from nnunet_sparse.dataset_tools.make_dataset import check_axis
    from nnunet_sparse.dataset_tools.make_dataset_cli import mae_request
    from nnunet_sparse.devices import check_device
    from nnunet_sparse.geometry import read_geometry
    from nnunet_sparse.raw_dataset import RawDataset
    from nnunet_sparse.split import SplitRequest, find_split, keep_split

    check_axis(args.axis)
    check_device(args.device)
    paths = configured_paths()
    raw = RawDataset.open(paths.raw / find_dataset(paths, args.base))
    check_dataset(raw)
    request = SplitRequest(args.val, args.test, args.split_file, args.split_seed)
    split, is_new = find_split(raw, paths, request)
    geometries = {
        case_id: read_geometry(raw.training[case_id].images[0], raw.reader())
        for case_id in split.train
    }
    axis = resolve_axis(args.axis, geometries)
    if is_new:
        keep_split(split, paths, raw.name)
    mae = mae_request(args)
    folder = train_mae(paths, raw, split.train, axis, mae, args.num_processes, args.overwrite)
    features = slice_features(paths, raw, split.train, axis, mae, args.num_processes)
    count = sum(len(values) for values in features.values.values())
    print(f"features: {count} slices of {len(features.values)} training volumes, axis {axis}")
    print(f"folder:   {folder} (loss.png, reconstructions.png)")
