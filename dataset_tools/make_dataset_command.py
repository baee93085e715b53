"""The command ``nnsparse_make_dataset``."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nnunet_sparse.data.dataset_name import (
    FIRST_FREE_ID,
    MAX_ID,
    check_id,
    parse_dataset_name,
    taken_ids,
)
from nnunet_sparse.data.raw_dataset import dense_datasets
from nnunet_sparse.data.split import DEFAULT_TEST, DEFAULT_VAL, SplitRequest
from nnunet_sparse.dataset_tools.interpolate import interpolate_dataset
from nnunet_sparse.dataset_tools.interpolate_command import (
    INTERPOLATION_OPTIONS,
    add_interpolation_arguments,
    interpolation_of,
    report,
)
from nnunet_sparse.dataset_tools.make_dataset import (
    DEFAULT_REPEATS,
    SparseDataset,
    check_axis,
    make_dataset,
)
from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET, MAE_PRESETS
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.interpolation.request import METHODS, Interpolation
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import parse_parameters, selector_class, selector_names
from nnunet_sparse.selectors.registry import SCOPES
from nnunet_sparse.system.command import (
    CommandParser,
    add_num_processes,
    non_negative_int,
    positive_int,
    run_command,
)
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths, configured_or_default_paths, configured_paths

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(_parser(), _run, argv)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        "nnsparse_make_dataset",
        "Make a slice-sparse nnU-Net data set: of a share s of the training volumes some slices "
        "keep their label, everything else is set to the ignore label.",
        "nnsparse_make_dataset -d 4 --rho 0.2 --s 0.5 --selector random",
    )
    parser.add_argument(
        "-d",
        dest="base",
        metavar="ID|NAME",
        help="dense base data set in nnUNet_raw (default: the only one there is; if there is none, "
        "a phantom is made)",
    )
    how_many = parser.add_mutually_exclusive_group(required=True)
    how_many.add_argument("--rho", type=float, help="density: share of a volume's slices, (0, 1]")
    how_many.add_argument(
        "--slices_per_volume", type=positive_int, metavar="K", help="slices of each volume"
    )
    how_many.add_argument("--budget", type=positive_int, metavar="N", help="slices in all")
    how_many.add_argument(
        "--list_selectors", action="store_true", help="show the selectors, and stop"
    )
    parser.add_argument(
        "--s",
        type=float,
        default=1.0,
        help="volume fraction: share of the training volumes, in (0, 1] (default: %(default)s)",
    )
    add_selector_arguments(parser, "fixed", selector_names())
    parser.add_argument(
        "--axis",
        default="auto",
        metavar="AXIS",
        help="slice axis: auto (closest to superior-inferior), axial, coronal, sagittal, or array "
        "axis 0, 1, 2 (default: %(default)s)",
    )
    parser.add_argument(
        "--positive_weight",
        type=float,
        default=1.0,
        metavar="W",
        help="with --selector random: slices with foreground are W times as likely (simulation "
        "only, it looks at the labels; default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=non_negative_int,
        default=0,
        help="seed of volumes and slices (default: %(default)s)",
    )
    add_mae_arguments(parser)
    parser.add_argument(
        "--interpolate",
        choices=METHODS,
        metavar="METHOD",
        help="then fill the slices that are not annotated, as nnsparse_interpolate does, in a data "
        f"set of its own: {', '.join(METHODS)}",
    )
    add_interpolation_arguments(parser)
    parser.add_argument(
        "--id",
        type=positive_int,
        dest="dataset_id",
        help="ID of the new data set, with --interpolate of the sparse one (default: free)",
    )
    parser.add_argument(
        "--repeats",
        type=positive_int,
        default=DEFAULT_REPEATS,
        help="number of equal folds, for repeated trainings (default: %(default)s)",
    )
    add_split_arguments(parser)
    parser.add_argument("--dry_run", action="store_true", help="tell what would be made, and stop")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a data set of the same name that has other content",
    )
    add_num_processes(parser)
    return parser


def add_selector_arguments(
    parser: argparse.ArgumentParser, default: str | None, names: Sequence[str]
) -> None:
    """Add the choice of the selector, its parameters and its scope.

    Parameters
    ----------
    parser
        Parser of a command.
    default
        Name of the default selector, for scope ``volume``; None if the default is not known before
        the command runs: all are None then.
    names
        Selectors to be named in the help.
    """
    known = default is not None
    parser.add_argument(
        "--selector",
        default=default,
        help=f"how slices are chosen: {', '.join(names)} (default: "
        f"{default or 'as in the first round'})",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        dest="parameters",
        metavar="KEY=VALUE",
        help="parameters of the selector, as in --selector ual --set clusters=5",
    )
    parser.add_argument(
        "--scope",
        choices=SCOPES,
        default="volume" if known else None,
        help="choose within each volume, or from all volumes at once (default: "
        f"{'volume' if known else 'as in the first round'})",
    )
    parser.add_argument(
        "--min_per_volume",
        type=non_negative_int,
        default=0 if known else None,
        metavar="M",
        help="with --scope dataset: slices that every volume gets at least (default: "
        f"{'0' if known else 'as in the first round'})",
    )


def add_mae_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the masked autoencoder, for selectors that use features."""
    group = parser.add_argument_group(
        "features", "of the selectors that look at images; trained where that has not been done"
    )
    group.add_argument(
        "--mae",
        choices=tuple(MAE_PRESETS),
        default=DEFAULT_MAE_PRESET,
        help="size of the masked autoencoder (default: %(default)s)",
    )
    group.add_argument(
        "--mae_seed",
        type=non_negative_int,
        default=0,
        metavar="SEED",
        help="seed of its training (default: %(default)s)",
    )
    group.add_argument(
        "-device", metavar="DEVICE", help="cpu or cuda (default: cuda if there is a GPU)"
    )


def mae_request(args: argparse.Namespace) -> MaeRequest:
    """What :func:`add_mae_arguments` has read."""
    return MaeRequest(args.mae, args.mae_seed, args.device)


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the split of a base that has none yet."""
    group = parser.add_argument_group(
        "split of the base", "made once, by the first call for a base; it never changes afterwards"
    )
    group.add_argument(
        "--val",
        type=float,
        metavar="N",
        help=f"validation cases: a number, or a share below 1 (default: {DEFAULT_VAL})",
    )
    group.add_argument(
        "--test",
        type=float,
        metavar="N",
        help="test cases, likewise; not where the base has its own in imagesTs and labelsTs "
        f"(default: {DEFAULT_TEST})",
    )
    group.add_argument(
        "--split_file",
        type=Path,
        metavar="JSON",
        help='take the split from a file: {"train": [...], "val": [...], "test": [...]}',
    )
    group.add_argument(
        "--split_seed", type=non_negative_int, metavar="SEED", help="seed of the split (default: 0)"
    )


def _run(args: argparse.Namespace) -> None:
    if args.list_selectors:
        print("\n".join(_selector_lines()))
        return
    factors = {
        "rho": args.rho,
        "slices_per_volume": args.slices_per_volume,
        "budget": args.budget,
        "s": args.s,
        "selector": args.selector,
        "parameters": parse_parameters(args.selector, args.parameters),
        "scope": args.scope,
        "min_per_volume": args.min_per_volume,
        "positive_weight": args.positive_weight,
        "seed": args.seed,
    }
    # what is wrong whatever the base is, before a phantom is made
    Variant(**factors)
    check_axis(args.axis)
    interpolation = None
    if args.interpolate:
        interpolation = interpolation_of(args.interpolate, args)
        check_device(args.device)
    elif given := [name for name in INTERPOLATION_OPTIONS if getattr(args, name)]:
        raise SparseError(f"--{given[0]} works with --interpolate")
    named = args.base is not None
    paths = configured_paths() if named else configured_or_default_paths()
    base = args.base if named else _only_base(paths, args)
    if base is None:
        return
    result = make_dataset(
        paths,
        base,
        **factors,
        axis=args.axis,
        mae=mae_request(args),
        split=SplitRequest(args.val, args.test, args.split_file, args.split_seed),
        repeats=args.repeats,
        dataset_id=args.dataset_id,
        num_processes=args.num_processes,
        dry_run=args.dry_run,
        overwrite=args.overwrite,
    )
    print(_report(result, args))
    if args.dry_run:
        if interpolation is not None:
            print(
                f"would then interpolate their labels: {_interpolated_name(result, interpolation)}"
            )
        print("nothing was written")
    elif interpolation is not None and result.folder is not None:
        filled = interpolate_dataset(
            paths,
            result.folder.name,
            interpolation,
            device=args.device,
            num_processes=args.num_processes,
            overwrite=args.overwrite,
        )
        print(report(filled))


def _only_base(paths: NnUNetPaths, args: argparse.Namespace) -> str | None:
    """Find the base where none is named; None if a dry run would have to make a phantom."""
    candidates = dense_datasets(paths.raw)
    if len(candidates) > 1:
        raise SparseError(
            f"{paths.raw} holds several dense data sets, choose one with -d: "
            + ", ".join(candidates)
        )
    if candidates:
        logger.info("Base: %s, the only dense data set in %s", candidates[0], paths.raw)
        return candidates[0]
    if args.dry_run:
        print(f"No dense data set in {paths.raw}: the lesion phantom would be made and used.")
        return None
    if args.dataset_id is not None:
        check_id(paths, args.dataset_id)
    if any(value is not None for value in (args.val, args.test, args.split_file)):
        raise SparseError(
            f"no dense data set in {paths.raw}: the phantom that would be made has a split of its "
            "own; name a data set with -d, or leave out the split options"
        )
    logger.info("No dense data set in %s: making the lesion phantom and using it", paths.raw)
    from nnunet_sparse.dataset_tools.make_phantom import make_phantom

    phantom_id = None
    if args.dataset_id is not None:  # which the phantom must not take
        taken = taken_ids(paths) | {args.dataset_id}
        phantom_id = next(i for i in range(FIRST_FREE_ID, MAX_ID) if i not in taken)
    return make_phantom(paths, "lesion", dataset_id=phantom_id, num_processes=args.num_processes)


def _selector_lines() -> list[str]:
    """Name, summary and source of every selector, and its parameters."""
    lines = []
    for name in selector_names():
        try:
            cls = selector_class(name)
        except SparseError as error:
            lines.append(f"{name:<18} {error}")
            continue
        source = f" [{cls.source}]" if cls.source else ""
        lines.append(f"{name:<18} {cls.summary()}{source}")
        defaults = " ".join(f"{key}={value}" for key, value in cls().parameters.items())
        if defaults:
            lines.append(f"{'':<18} --set {defaults}")
    return lines


def _report(result: SparseDataset, args: argparse.Namespace) -> str:
    selection, split = result.selection, result.split
    lines = [
        f"base:       {selection.base} ({len(split.train)} train, {len(split.val)} val, "
        f"{len(split.test)} test)",
        f"budget:     {selection.budget} of {result.num_slices} slices along axis "
        f"{selection.axis}, in {len(selection.cases)} of {len(split.train)} training volumes",
    ]
    if left_out := result.num_volumes - len(selection.cases):
        lines.append(f"left out:   {left_out} of the {result.num_volumes} volumes, without a slice")
    if not args.dry_run:
        assert result.folder is not None
        made = "made:       " if result.created else "exists:     "
        lines.append(f"{made}{result.folder}")
        if not args.interpolate:
            lines.append(f"next:       nnsparse_plan_and_preprocess -d {result.folder.name}")
        return "\n".join(lines)
    for case_id, case in selection.cases.items():
        indices = " ".join(str(i) for i in case.slices)
        lines.append(f"  {case_id}: {len(case.slices)} of {case.num_slices}: {indices}")
    if result.folder is not None and not args.overwrite:
        return "\n".join([*lines, f"exists:     {result.folder}"])
    target = result.folder or f"DatasetXXX_{result.suffix}"
    return "\n".join(
        [
            *lines,
            f"would {'replace' if result.folder else 'make'}: {target}: "
            f"{len(selection.cases)} sparse labels, links to {len(split.val)} validation labels "
            f"and {len(split.test)} test cases",
        ]
    )


def _interpolated_name(result: SparseDataset, interpolation: Interpolation) -> str:
    """Name of the data set that would be made by interpolation."""
    variant = replace(result.selection.variant, interpolation=interpolation.to_json())
    suffix = parse_dataset_name(result.selection.base)[1]
    return f"DatasetXXX_{variant.dataset_suffix(suffix)}"
