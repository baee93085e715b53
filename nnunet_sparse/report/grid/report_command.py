"""The command ``nnsparse_report``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.system.command import CommandParser, non_negative_int, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import (
    add_num_processes_option,
    add_output_option,
    add_overwrite_option,
)

FORMATS = ("svg", "pdf", "png")
ENDING = ".csv"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_report",
        "Write tables, figures and a page of an experiment, from the trainings that have been "
        "scored. Of results that --export has kept, print tables instead.",
        "nnsparse_report grid.yaml",
    )
    parser.add_argument(
        "grid",
        type=Path,
        nargs="+",
        metavar="GRID.yaml",
        help="experiment file; or RESULTS.csv, one or more files that --export has written",
    )
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
    parser.add_argument(
        "--export",
        type=Path,
        metavar="RESULTS.csv",
        help="keep all results in one file as well, from which tables can be made again without "
        "the experiment: nnsparse_report RESULTS.csv",
    )
    parser.add_argument(
        "--tables",
        nargs="+",
        metavar="NAME",
        help="of RESULTS.csv: which tables are printed as Markdown (default: findings)",
    )
    parser.add_argument(
        "--rows",
        metavar="TEXT",
        help="of RESULTS.csv: rows with this text in a cell (default: all)",
    )
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    is_kept = [file.suffix == ENDING for file in args.grid]
    if all(is_kept):
        _print_tables(args)
    elif len(args.grid) > 1:
        raise SparseError(
            f"one experiment file is reported at a time, got {len(args.grid)} files; several "
            f"results together are files {ENDING}, as --export writes them"
        )
    else:
        _write(args)


def _print_tables(args: argparse.Namespace) -> None:
    """Print tables of results that were kept."""
    from nnunet_sparse.report.grid.result_tables import tables_of_kept_results

    if args.output is not None or args.export is not None:
        raise SparseError(
            "-o and --export go with an experiment file; tables of kept results are printed"
        )
    print(tables_of_kept_results(args.grid, args.tables or ["findings"], args.rows or ""), end="")


def _write(args: argparse.Namespace) -> None:
    """Write the report of an experiment file."""
    from nnunet_sparse.grid.open_grid import open_grid
    from nnunet_sparse.report.grid.annotation_cost import read_cost
    from nnunet_sparse.report.grid.grid_report import write_report
    from nnunet_sparse.report.report_folder import PAGE

    if args.tables or args.rows:
        raise SparseError(
            f"--tables and --rows go with kept results ({ENDING}); the report of an experiment "
            "file has all tables"
        )
    cost = None if args.cost is None else read_cost(args.cost)
    report = write_report(
        open_grid(args.grid[0]),
        args.output,
        cost=cost,
        formats=args.formats,
        deviations_of_trainings=args.deviations == "trainings",
        num_cases=args.cases,
        num_processes=args.num_processes,
        overwrite=args.overwrite,
        export=args.export,
    )
    print("\n".join(report.sentences))
    print(f"{report.num_done} of {report.num_trainings} trainings")
    print(f"report: {report.folder / PAGE}")
