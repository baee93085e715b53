"""Arguments of commands that read an experiment file."""

from pathlib import Path

from nnunet_sparse.system.options import OptionHolder


def add_grid_argument(parser: OptionHolder, needed: bool = True) -> None:
    """Add the experiment file, which may be left out where it is not needed."""
    parser.add_argument(
        "grid",
        type=Path,
        nargs=None if needed else "?",
        metavar="GRID.yaml",
        help="experiment file",
    )
