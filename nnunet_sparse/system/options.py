"""Options that several commands have and that say nothing about images or labels."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from nnunet_sparse.system.command import non_negative_int, positive_int

OptionHolder = argparse._ActionsContainer
"""What options are added to: a parser, or a group of one."""


def add_num_processes_option(parser: OptionHolder) -> None:
    """Add ``-np``/``--num_processes``, as nnU-Net's commands have it."""
    parser.add_argument(
        "-np",
        "--num_processes",
        type=positive_int,
        default=default_num_processes(),
        metavar="N",
        help="number of parallel processes (default: %(default)s, the cores at hand, at most 8)",
    )


def default_num_processes() -> int:
    """Number of usable cores, at most 8."""
    return min(8, len(os.sched_getaffinity(0)))


def add_device_option(parser: OptionHolder) -> None:
    """Add ``-device``, as nnU-Net's commands have it; None is a GPU if there is one."""
    parser.add_argument(
        "-device", metavar="DEVICE", help="cpu or cuda (default: cuda if there is a GPU)"
    )


def add_overwrite_option(parser: OptionHolder, effect: str) -> None:
    """Add ``--overwrite``; ``effect`` says what it replaces."""
    parser.add_argument("--overwrite", action="store_true", help=effect)


def add_dry_run_option(
    parser: OptionHolder, effect: str = "tell what would be made, and stop"
) -> None:
    """Add ``--dry_run``; ``effect`` says what happens instead of the work."""
    parser.add_argument("--dry_run", action="store_true", help=effect)


def add_output_option(
    parser: OptionHolder, description: str, metavar: str | None = None, default: Path | None = None
) -> None:
    """Add ``-o``/``--output``, a file or folder; ``metavar`` says which of them."""
    parser.add_argument(
        "-o", "--output", type=Path, default=default, metavar=metavar, help=description
    )


def add_seed_option(
    parser: OptionHolder, of_what: str, option: str = "--seed", unset: str | None = None
) -> None:
    """Add an option for a seed.

    Parameters
    ----------
    parser
        Parser of a command.
    of_what
        What is drawn with it.
    option
        Name of the option.
    unset
        Which seed holds where none is given, in words, if the parser does not know it: the default
        is None then, otherwise 0.
    """
    parser.add_argument(
        option,
        type=non_negative_int,
        default=0 if unset is None else None,
        metavar="SEED",
        help=f"seed of {of_what} (default: {unset or '0'})",
    )


def given_options(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Those of some options that a command line gives; 0, "no" and "none" count as not given."""
    return [name for name in names if getattr(args, name)]
