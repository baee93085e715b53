"""The command ``nnsparse_advise``."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.grid.grid_options import add_grid_argument
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import add_num_processes_option


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_advise",
        "Say how many volumes, which density and which selector are best for a number of slices, "
        "with uncertainty, from the results of an experiment; or how many more slices of a "
        "campaign hours of annotation buy, by the times that were measured in it.",
        "nnsparse_advise grid.yaml --budget 500\n"
        "  nnsparse_advise --campaign campaign --hours 5 10",
    )
    add_grid_argument(parser, needed=False)
    parser.add_argument("--budget", type=positive_int, metavar="N", help="slices to be annotated")
    parser.add_argument(
        "--campaign",
        type=Path,
        metavar="FOLDER",
        help="campaign (nnsparse_worklist make) in which the times of at least 20 slices were "
        "measured (nnsparse_annotate)",
    )
    parser.add_argument(
        "--hours",
        type=_hours,
        nargs="+",
        metavar="H",
        help="with --campaign: hours of annotation that are left; each number is looked at alone",
    )
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _hours(text: str) -> float:
    """Argparse type: hours above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def _run(args: argparse.Namespace) -> None:
    if args.campaign is None:
        if args.hours is not None:
            raise SparseError("--hours needs a campaign: name it with --campaign FOLDER")
        if args.grid is None:
            raise SparseError("name an experiment file, or a campaign with --campaign FOLDER")
        if args.budget is None:
            raise SparseError("say with --budget N how many slices can be annotated")
        from nnunet_sparse.grid.open_grid import open_grid
        from nnunet_sparse.report.grid.advice import advice

        print(advice(open_grid(args.grid), args.budget))
        return
    if args.budget is not None:
        raise SparseError("a campaign is advised on hours: --hours H instead of --budget")
    if args.hours is None:
        raise SparseError("say with --hours H how many hours of annotation are left")
    from nnunet_sparse.grid.open_grid import open_grid
    from nnunet_sparse.report.grid.campaign_advice import campaign_advice

    grid = None if args.grid is None else open_grid(args.grid)
    print(campaign_advice(args.campaign, args.hours, grid, args.num_processes))
