"""Arguments of commands that read an experiment file."""

from pathlib import Path

from nnunet_sparse.system.options import OptionHolder


def add_grid_argument(parser: OptionHolder) -> None:
    """Add the experiment file."""
    parser.add_argument("grid", type=Path, metavar="GRID.yaml", help="experiment file")
