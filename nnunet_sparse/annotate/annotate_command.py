"""``nnsparse_annotate``: annotate a campaign in a window."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.annotate.user_name import user_name
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.errors import SparseError


def annotate(folder: Path, annotator: str = "", *, free: bool = False) -> None:
    """Open the window, and come back when it is closed.

    Parameters
    ----------
    folder
        The campaign's.
    annotator
        Who; by default the name of the user.
    free
        Whether slices that were not asked for take paint.

    Raises
    ------
    SparseError
        If the folder holds no campaign, or no window can be opened here.
    OSError
        If the folder cannot be written to.
    """
    from nnunet_sparse.annotate.viewer.display_check import check_display
    from nnunet_sparse.campaign.campaign import Campaign

    Campaign.read(folder)  # before seconds pass
    check_display()
    from nnunet_sparse.annotate.viewer.open_window import run_window

    run_window(folder, annotator or user_name(), free)


def _work(args: argparse.Namespace) -> None:
    if any(not letter.isprintable() for letter in args.annotator):
        raise SparseError(f"--annotator must be printable text, got {args.annotator!r}")
    annotate(args.campaign, args.annotator.strip(), free=args.free)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``nnsparse_annotate``."""
    parser = CommandParser(
        "nnsparse_annotate",
        "Annotate the slices that a campaign asks for, in a window (napari). Every slice is saved "
        "into the campaign's files with the key N; the window can be closed at any time, and goes "
        "on at the next start where it was left.",
        "nnsparse_annotate campaign --annotator mk",
    )
    parser.add_argument("campaign", type=Path, help="folder of nnsparse_worklist make")
    parser.add_argument(
        "--annotator",
        default="",
        metavar="NAME",
        help="who annotates, for the worklist and the times (default: name of the user)",
    )
    parser.add_argument(
        "--free",
        action="store_true",
        help="slices that were not asked for take paint as well; they are kept as extra ones",
    )
    return run_command(parser, _work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
