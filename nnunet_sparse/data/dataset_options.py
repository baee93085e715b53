"""Options of commands that name a data set, its slice axis, its split or its folds."""

import argparse
from pathlib import Path

from nnunet_sparse.data.folds import DEFAULT_REPEATS
from nnunet_sparse.data.split import DEFAULT_TEST, DEFAULT_VAL, SplitRequest
from nnunet_sparse.system.command import positive_int
from nnunet_sparse.system.options import OptionHolder, add_seed_option
from nnunet_sparse.system.wording import brief

_MOST_FOLDS = 1000  # as many repeats as an experiment can have


def add_dataset_option(
    parser: OptionHolder, description: str, dest: str = "dataset", required: bool = True
) -> None:
    """Add ``-d`` for the name or ID of a data set, as nnU-Net's commands have it."""
    parser.add_argument("-d", dest=dest, metavar="ID|NAME", required=required, help=description)


def add_axis_option(parser: OptionHolder) -> None:
    """Add ``--axis``."""
    parser.add_argument(
        "--axis",
        default="auto",
        metavar="AXIS",
        help="slice axis: auto (closest to superior-inferior), axial, coronal, sagittal, or array "
        "axis 0, 1, 2 (default: %(default)s)",
    )


def add_dataset_id_option(
    parser: OptionHolder, description: str = "ID of the new data set, 1 to 999 (default: free)"
) -> None:
    """Add ``--id`` for the ID of the data set that is made; None is a free one."""
    parser.add_argument(
        "--id", type=positive_int, dest="dataset_id", metavar="ID", help=description
    )


def add_folds_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--repeats`` and ``--folds``, which exclude each other."""
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--repeats",
        type=_num_folds,
        default=DEFAULT_REPEATS,
        help="number of equal folds, for repeated trainings (default: %(default)s)",
    )
    kind.add_argument(
        "--folds",
        type=_num_folds,
        metavar="N",
        help="instead a cross-validation of the annotated volumes in N folds (nnU-Net: 5)",
    )


def _num_folds(text: str) -> int:
    """Argparse type: a number of trainings that somebody may want, each of which is written."""
    number = positive_int(text)
    if number > _MOST_FOLDS:
        raise argparse.ArgumentTypeError(f"must be at most {_MOST_FOLDS}, got {brief(text)}")
    return number


def add_split_options(parser: argparse.ArgumentParser) -> None:
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
    add_seed_option(group, "the split", "--split_seed", unset="0")
    add_group_option(group)


def add_group_option(parser: OptionHolder) -> None:
    """Add ``--group``."""
    parser.add_argument(
        "--group",
        metavar="REGEX|CSV",
        help="keep cases of one group, as the time points of a patient, on one side of every "
        "split: a regular expression that finds the patient in the case ID ('^(P[0-9]+)_' for "
        "P07_2019), or a table with the columns case and patient; kept for later calls",
    )


def split_request(args: argparse.Namespace) -> SplitRequest:
    """What the options of :func:`add_split_options` ask for."""
    return SplitRequest(args.val, args.test, args.split_file, args.split_seed, args.group)
