"""The command ``nnsparse_doctor``."""

import argparse
import contextlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.system.atomic import canonical_json
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import add_num_processes_option, add_overwrite_option
from nnunet_sparse.system.paths import configured_paths

EXIT_BROKEN = 1
_MIN_WIDTH, _MAX_WIDTH = 80, 110


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, 1 if something is broken."""
    parser = CommandParser(
        "nnsparse_doctor",
        "Show what is wrong with the sparse annotation of any nnU-Net data set with an ignore "
        "label: in the labels, the splits, the plans, the preprocessed data and the batches, each "
        "with a verdict, a number and what to do. Changes nothing. Exit status 1 if something is "
        "broken.",
        "nnsparse_doctor -d 501 -c 3d_fullres",
    )
    parser.add_argument("-d", "--dataset", required=True, help="ID or name of the data set")
    parser.add_argument(
        "-p",
        "--plans",
        metavar="PLANS",
        help="default: nnsparsePlans, else the only plans there are, else nnUNetPlans",
    )
    parser.add_argument(
        "-c", "--configuration", metavar="CONFIG", help="default: all that are preprocessed"
    )
    parser.add_argument(
        "-tr",
        "--trainer",
        default="SparseTrainer",
        help="trainer whose batches are judged (default: %(default)s); nnUNetTrainer's are always "
        "shown beside",
    )
    parser.add_argument(
        "-nb",
        "--num_batches",
        type=positive_int,
        metavar="N",
        help="batches drawn per trainer and configuration (default: as many as take about half a "
        "minute)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="PNG of one batch as the network sees it, beside nnU-Net's; with several "
        "configurations _CONFIG is added to its name (default: ./DATASET_CONFIG_batch.png)",
    )
    parser.add_argument("--no_picture", action="store_true", help="draw no picture")
    add_overwrite_option(parser, "replace existing pictures")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> int:
    """Print the report; returns the exit status."""
    from nnunet_sparse.doctor.subject import open_subject

    subject = open_subject(configured_paths(), args.dataset, args.plans, args.configuration)
    pictures: dict[str, Path] = {}
    if not args.no_picture:
        with_data = [c for c in subject.configurations if subject.data_cases(c)]
        pictures = picture_files(args.picture, subject.raw.name, with_data)
        _check_pictures(pictures, args.overwrite, args.picture is not None)
        pictures = {c: p for c, p in pictures.items() if args.overwrite or not p.exists()}
    # nnU-Net prints where it likes; standard output is for the report
    with contextlib.redirect_stdout(sys.stderr):
        from nnunet_sparse.doctor.examine import examine

        report = examine(subject, args.trainer, args.num_batches, pictures, args.num_processes)
    if args.json:
        print(canonical_json(report.to_json(), sort_keys=False), end="")
    else:
        from nnunet_sparse.doctor.findings_table import format_report

        columns = shutil.get_terminal_size((_MAX_WIDTH, 24)).columns
        print(format_report(report, min(max(columns, _MIN_WIDTH), _MAX_WIDTH)))
    return EXIT_BROKEN if report.verdict == "broken" else 0


def picture_files(
    wanted: Path | None, dataset: str, configurations: Sequence[str]
) -> dict[str, Path]:
    """PNG file of every configuration.

    Parameters
    ----------
    wanted
        What the user asked for, or None.
    dataset, configurations
        Names.
    """
    if wanted is None:
        return {c: Path(f"{dataset}_{_safe(c)}_batch.png") for c in configurations}
    if len(configurations) == 1:
        return {configurations[0]: wanted}
    return {c: wanted.with_name(f"{wanted.stem}_{_safe(c)}{wanted.suffix}") for c in configurations}


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _check_pictures(pictures: dict[str, Path], overwrite: bool, was_asked_for: bool) -> None:
    for file in pictures.values():
        if not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
            raise SparseError(
                f"{file} cannot be written: {file.parent} is no folder that can be written to; "
                "choose another with --picture, or leave it out with --no_picture"
            )
        if file.suffix.lower() != ".png":
            raise SparseError(f"the picture is a PNG file, got {file}")
        if file.exists() and not overwrite:
            if was_asked_for:
                raise SparseError(f"{file} exists; --overwrite replaces it")
            print(f"{file} exists and is kept; --overwrite draws it anew", file=sys.stderr)
