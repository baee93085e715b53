"""Starting napari with a campaign."""

import signal
from pathlib import Path
from typing import Any

import napari

from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.annotate.viewer.campaign_window import CampaignWindow


def open_window(viewer: Any, folder: Path, annotator: str, free: bool = False) -> CampaignWindow:
    """Open a campaign in a viewer.

    Raises
    ------
    SparseError
        If the folder holds no campaign, or it cannot be read.
    OSError
        If the folder cannot be written to.
    """
    return CampaignWindow(viewer, AnnotationSession(folder, annotator, free=free))


def run_window(folder: Path, annotator: str, free: bool = False) -> None:
    """Open a viewer with a campaign, until it is closed; raises as :func:`open_window`."""
    session = AnnotationSession(folder, annotator, free=free)
    viewer = napari.Viewer(title="nnsparse_annotate")
    window = CampaignWindow(viewer, session)

    def close(*_: object) -> None:
        viewer.window._qt_window.close()

    # the clock of the window lets Python look for signals every second
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, close)
    napari.run()
    del window
