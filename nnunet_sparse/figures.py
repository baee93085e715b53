"""Writing figures so that equal content is an equal file."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from nnunet_sparse.atomic import atomic_path

_DPI = 110


def save_figure(figure: Figure, *outputs: Path) -> None:
    """Write a figure in one step for each file; their endings give the formats (PNG, SVG)."""
    for output in outputs:
        metadata = {"Date" if output.suffix == ".svg" else "Software": None}
        # names of parts of an SVG are random otherwise
        with atomic_path(output) as temporary, mpl.rc_context({"svg.hashsalt": "nnsparse"}):
            figure.savefig(temporary, dpi=_DPI, metadata=metadata)
