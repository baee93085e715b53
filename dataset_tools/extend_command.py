"""The command ``nnsparse_extend``."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnunet_sparse.data.dataset_options import add_dataset_id_option, add_dataset_option
from nnunet_sparse.data.folds import folds_text
from nnunet_sparse.features.mae_options import add_mae_options
from nnunet_sparse.prediction.model_options import add_model_options, open_model
from nnunet_sparse.selection.selection_options import (
    add_budget_options,
    add_positive_weight_option,
    add_selector_options,
    add_volume_fraction_option,
    variant_of,
)
from nnunet_sparse.selectors import selector_names
from nnunet_sparse.system.command import CommandParser, run_command, titled
from nnunet_sparse.system.options import (
    add_dry_run_option,
    add_num_processes_option,
    add_overwrite_option,
    add_seed_option,
)
from nnunet_sparse.system.paths import configured_paths

if TYPE_CHECKING:
    from nnunet_sparse.dataset_tools.extend_dataset import ExtendedDataset

_FIRST = "as in the first choice"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_extend",
        "Make the next data set of a sparse one: its slices, and some more. A network that was "
        "trained on it may choose them.",
        "nnsparse_extend -d 500 --budget 100 --selector clasp_pe --model "
        "nnUNet_results/Dataset500_X/SparseTrainer__nnsparsePlans__2d",
    )
    add_dataset_option(parser, "data set in nnUNet_raw that nnsparse_make_dataset has made")
    add_budget_options(parser, more=True)
    add_volume_fraction_option(parser, "training volumes", unset=_FIRST)
    add_selector_options(parser, "", selector_names(), unset=_FIRST)
    add_positive_weight_option(parser)
    add_seed_option(parser, "slices", unset=_FIRST)
    add_model_options(parser, "network that selectors ask")
    add_mae_options(parser)
    add_dataset_id_option(parser)
    add_dry_run_option(parser, "tell which slices would be added, and stop")
    add_overwrite_option(parser, "replace a data set of the same name that has other content")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.dataset_tools.extend_dataset import extend_dataset, open_extendable
    from nnunet_sparse.selection.ask_network import AskedNetwork, check_asked

    paths = configured_paths()
    source = open_extendable(paths, args.dataset)
    variant = variant_of(args, source.selection.variant)
    check_asked(variant.make_selector(), args.model is not None)
    network = open_model(args)
    asked = None if network is None else AskedNetwork(network, args.device)
    result = extend_dataset(
        paths,
        source,
        variant,
        asked,
        device=args.device,
        dataset_id=args.dataset_id,
        num_processes=args.num_processes,
        dry_run=args.dry_run,
        overwrite=args.overwrite,
    )
    print(_report(result, args))


def _report(result: "ExtendedDataset", args: argparse.Namespace) -> str:
    from nnunet_sparse.dataset_tools.made_dataset import made_line, next_line

    selection, added = result.selection, result.added
    lines = [
        titled("extended", f"{result.source} ({selection.budget - added.budget} slices)"),
        titled(
            "added",
            f"{added.budget} slices in {len(added.slices)} volumes, chosen by "
            f"{added.variant.selector}",
        ),
        titled("budget", f"{selection.budget} slices in {len(selection.cases)} volumes"),
    ]
    if (weight := added.variant.positive_weight) != 1:
        text = (
            f"slices with foreground in the dense labels count {weight:g} times (simulation only)"
        )
        lines.append(titled("weights", text))
    if not args.dry_run:
        assert result.folder is not None
        lines.append(titled("folds", folds_text(result.folds)))
        lines += [made_line(result.folder, result.created), next_line(result.folder)]
        return "\n".join(lines)
    for case_id, slices in added.slices.items():
        lines.append(f"  {case_id}: {len(slices)}: {' '.join(map(str, slices))}")
    if result.folder is not None and not args.overwrite:
        lines.append(made_line(result.folder, created=False))
    else:
        target = result.folder or f"DatasetXXX_{result.suffix}"
        lines.append(f"would {'replace' if result.folder else 'make'}: {target}")
    lines.append("dry run: no data set was written")
    return "\n".join(lines)
