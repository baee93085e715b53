"""The command ``nnsparse_advise``."""

import argparse
from collections.abc import Sequence

from nnunet_sparse.grid.grid_options import add_grid_argument
from nnunet_sparse.system.command import CommandParser, positive_int, run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_advise",
        "Say how many volumes, which density and which selector are best for a number of slices, "
        "with uncertainty, from the results of an experiment.",
        "nnsparse_advise grid.yaml --budget 500",
    )
    add_grid_argument(parser)
    parser.add_argument(
        "--budget", type=positive_int, required=True, metavar="N", help="slices to be annotated"
    )
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.grid.open_grid import open_grid
    from nnunet_sparse.report.grid.advice import advice

    print(advice(open_grid(args.grid), args.budget))
