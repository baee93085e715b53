"""The command ``nnsparse_make_dataset``."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_sparse.data.dataset_name import (
    FIRST_FREE_ID,
    MAX_ID,
    check_id,
    parse_dataset_name,
    taken_ids,
)
from nnunet_sparse.data.dataset_options import (
    add_axis_option,
    add_dataset_id_option,
    add_dataset_option,
    add_folds_options,
    add_split_options,
    split_request,
)
from nnunet_sparse.data.folds import folds_text
from nnunet_sparse.data.geometry import check_axis
from nnunet_sparse.data.groups import grouping_text
from nnunet_sparse.data.raw_dataset import dense_datasets
from nnunet_sparse.features.mae_options import add_mae_options
from nnunet_sparse.interpolation.interpolation_options import (
    INTERPOLATION_OPTIONS,
    add_interpolation_options,
    interpolation_of,
)
from nnunet_sparse.interpolation.methods import method_names
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.selection.selection_options import (
    add_budget_options,
    add_positive_weight_option,
    add_selector_options,
    add_volume_fraction_option,
    variant_of,
)
from nnunet_sparse.selectors import (
    first_selector_names,
    refuse_without_network,
    selector_class,
    selector_names,
)
from nnunet_sparse.system.command import CommandParser, run_command, titled
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import (
    add_dry_run_option,
    add_num_processes_option,
    add_overwrite_option,
    add_seed_option,
    given_options,
)
from nnunet_sparse.system.paths import NnUNetPaths, configured_or_default_paths, configured_paths

if TYPE_CHECKING:
    from nnunet_sparse.dataset_tools.make_dataset import SparseDataset

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
    add_dataset_option(
        parser,
        "dense base data set in nnUNet_raw (default: the only one there is; if there is none, "
        "a phantom is made)",
        dest="base",
        required=False,
    )
    how_many = add_budget_options(parser)
    how_many.add_argument(
        "--list_selectors", action="store_true", help="show the selectors, and stop"
    )
    add_volume_fraction_option(parser, "training volumes")
    add_selector_options(parser, "fixed", first_selector_names())
    add_axis_option(parser)
    add_positive_weight_option(parser)
    add_seed_option(parser, "volumes and slices")
    add_mae_options(parser)
    parser.add_argument(
        "--interpolate",
        choices=method_names(with_model=False),
        metavar="METHOD",
        help="then fill the slices that are not annotated, as nnsparse_interpolate does, in a data "
        f"set of its own: {', '.join(method_names(with_model=False))}",
    )
    add_interpolation_options(parser)
    add_dataset_id_option(
        parser, "ID of the new data set, with --interpolate of the sparse one (default: free)"
    )
    add_folds_options(parser)
    add_split_options(parser)
    add_dry_run_option(parser)
    add_overwrite_option(parser, "replace a data set of the same name that has other content")
    add_num_processes_option(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    if args.list_selectors:
        print("\n".join(_selector_lines()))
        return
    from nnunet_sparse.dataset_tools.interpolate import interpolate_dataset
    from nnunet_sparse.dataset_tools.made_dataset import made_line, next_line
    from nnunet_sparse.dataset_tools.make_dataset import make_dataset

    # what is wrong whatever the base is, before a phantom is made
    variant = variant_of(args)
    refuse_without_network(variant.selector)
    check_axis(args.axis)
    check_device(args.device)
    interpolation = None
    if args.interpolate and args.folds:
        raise SparseError(
            "--folds scores annotated slices, and --interpolate fills the labels of all volumes: "
            "interpolate a data set with --repeats"
        )
    if args.interpolate:
        interpolation = interpolation_of(args.interpolate, args)
    elif given := given_options(args, INTERPOLATION_OPTIONS):
        raise SparseError(f"--{given[0]} works with --interpolate")
    named = args.base is not None
    paths = configured_paths() if named else configured_or_default_paths()
    base = args.base if named else _only_base(paths, args)
    if base is None:
        return
    result = make_dataset(
        paths,
        base,
        variant,
        axis=args.axis,
        device=args.device,
        split=split_request(args),
        repeats=args.repeats,
        num_folds=args.folds,
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
        print(made_line(filled.folder, filled.created))
        print(next_line(filled.folder))


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
    if any(value is not None for value in (args.val, args.test, args.split_file, args.group)):
        raise SparseError(
            f"no dense data set in {paths.raw}: the phantom that would be made has a split of its "
            "own; name a data set with -d, or leave out the split options"
        )
    logger.info("No dense data set in %s: making the lesion phantom and using it", paths.raw)
    from nnunet_sparse.dataset_tools.make_phantom import make_phantom
    from nnunet_sparse.dataset_tools.new_dataset import unfinished_ids

    phantom_id = None
    if args.dataset_id is not None:  # which the phantom must not take
        begun = unfinished_ids(paths.raw, "PhantomLesion")
        taken = (taken_ids(paths) - begun) | {args.dataset_id}
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
        if cls.asks_network():
            source += " (with --model of nnsparse_extend and nnsparse_worklist extend)"
        lines.append(f"{name:<18} {cls.summary()}{source}")
        defaults = " ".join(f"{key}={value}" for key, value in cls().parameters.items())
        if defaults:
            lines.append(f"{'':<18} --set {defaults}")
    return lines


def _report(result: "SparseDataset", args: argparse.Namespace) -> str:
    from nnunet_sparse.dataset_tools.made_dataset import made_line, next_line

    selection, split = result.selection, result.split
    lines = [
        titled(
            "base",
            f"{selection.base} ({len(split.train)} train, {len(split.val)} val, "
            f"{len(split.test)} test)",
        ),
        titled("split", grouping_text(split.cases, split.groups)),
        titled(
            "budget",
            f"{selection.budget} of {result.num_slices} slices along axis {selection.axis}, in "
            f"{len(selection.cases)} of {len(split.train)} training volumes",
        ),
    ]
    if (weight := selection.variant.positive_weight) != 1:
        text = (
            f"slices with foreground in the dense labels count {weight:g} times (simulation only)"
        )
        lines.append(titled("weights", text))
    if left_out := result.num_volumes - len(selection.cases):
        text = f"{left_out} of the {result.num_volumes} volumes, without a slice"
        lines.append(titled("left out", text))
    if not args.dry_run:
        assert result.folder is not None
        lines.append(titled("folds", folds_text(result.folds)))
        lines.append(made_line(result.folder, result.created))
        if not args.interpolate:
            lines.append(next_line(result.folder))
        return "\n".join(lines)
    for case_id, case in selection.cases.items():
        indices = " ".join(str(i) for i in case.slices)
        lines.append(f"  {case_id}: {len(case.slices)} of {case.num_slices}: {indices}")
    if result.folder is not None and not args.overwrite:
        return "\n".join([*lines, made_line(result.folder, created=False)])
    target = result.folder or f"DatasetXXX_{result.suffix}"
    num_dense = 0 if args.folds else len(split.val)
    return "\n".join(
        [
            *lines,
            f"would {'replace' if result.folder else 'make'}: {target}: "
            f"{len(selection.cases)} sparse labels, links to {num_dense} validation labels "
            f"and {len(split.test)} test cases",
            titled("folds", folds_text(result.folds)),
        ]
    )


def _interpolated_name(result: "SparseDataset", interpolation: Interpolation) -> str:
    """Name of the data set that would be made by interpolation."""
    variant = replace(result.selection.variant, interpolation=interpolation)
    suffix = parse_dataset_name(result.selection.base)[1]
    return f"DatasetXXX_{variant.dataset_suffix(suffix)}"
