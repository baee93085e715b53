"""The command ``nnsparse_report``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.grid.grid_options import add_grid_argument
from nnunet_sparse.system.command import CommandParser, non_negative_int, run_command
from nnunet_sparse.system.options import (
    add_num_processes_option,
    add_output_option,
    add_overwrite_option,
)

FORMATS = ("svg", "pdf", "png")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_report",
        "Write tables, figures and a page of an experiment, from the trainings that have been "
        "scored.",
        "nnsparse_report grid.yaml",
    )
    add_grid_argument(parser)
    add_output_option(
        parser,
        "default: report in the experiment's folder; an earlier report is replaced",
        "FOLDER",
    )
    add_overwrite_option(parser, "replace FOLDER and all that it holds, even if it is no report")
    parser.add_argument(
        "--cost",
        type=Path,
        metavar="COST.yaml",
        help="show hours of annotation as well, with seconds_per_empty_slice, seconds_per_slice "
        "(with object), seconds_per_object, seconds_per_volume, neighbour_saving and "
        "neighbour_range",
    )
    parser.add_argument(
        "--formats",
        nargs="+",
        choices=FORMATS,
        default=list(FORMATS),
        help="of the figures (default: all)",
    )
    parser.add_argument(
        "--deviations",
        choices=("cells", "trainings"),
        default="cells",
        help="in figure 5: of each selector's mean from that of its cell, as in the paper's later "
        "version, or of single trainings, as in its first (default: %(default)s)",
    )
    parser.add_argument(
        "--cases",
        type=non_negative_int,
        default=2,
        metavar="N",
        help="test cases of each task in the slice viewer (default: %(default)s)",
    )
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.grid.open_grid import open_grid
    from nnunet_sparse.report.grid.annotation_cost import read_cost
    from nnunet_sparse.report.grid.grid_report import write_report
    from nnunet_sparse.report.report_folder import PAGE

    cost = None if args.cost is None else read_cost(args.cost)
    report = write_report(
        open_grid(args.grid),
        args.output,
        cost=cost,
        formats=args.formats,
        deviations_of_trainings=args.deviations == "trainings",
        num_cases=args.cases,
        num_processes=args.num_processes,
        overwrite=args.overwrite,
    )
    print("\n".join(report.sentences))
    print(f"{report.num_done} of {report.num_trainings} trainings")
    print(f"report: {report.folder / PAGE}")
