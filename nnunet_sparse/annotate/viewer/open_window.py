"""Starting napari with a campaign."""

import logging
import signal
from pathlib import Path
from typing import Any

import napari

from nnunet_sparse.annotate.network_view import NetworkView
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.annotate.viewer.campaign_window import NAME, CampaignWindow
from nnunet_sparse.system.errors import SparseError


def open_window(
    viewer: Any,
    folder: Path,
    annotator: str,
    free: bool = False,
    network: NetworkView | None = None,
) -> CampaignWindow:
    """Open a campaign in a viewer.

    Parameters
    ----------
    viewer
        A napari viewer, whose layers go.
    folder
        The campaign's.
    annotator
        Who.
    free
        Whether slices that were not asked for take paint.
    network
        Looks at the volumes, and ends with the window; None for none.

    Raises
    ------
    SparseError
        If the folder holds no campaign, it cannot be read, or the window shows one already.
    OSError
        If the folder cannot be written to.
    """
    try:
        if NAME in viewer.window.dock_widgets:
            raise SparseError("a campaign is open in this window: close the window first")
        session = AnnotationSession(folder, annotator, free=free, network=network)
    except BaseException:
        if network is not None:
            network.close()
        raise
    return CampaignWindow(viewer, session)


def run_window(
    folder: Path, annotator: str, free: bool = False, network: NetworkView | None = None
) -> None:
    """Open a viewer with a campaign, until it is closed; as :func:`open_window`."""
    # says at every start that it does without a library that is not needed
    logging.getLogger("OpenGL.acceleratesupport").setLevel(logging.WARNING)
    session = AnnotationSession(folder, annotator, free=free, network=network)
    viewer = napari.Viewer(title="nnsparse_annotate")
    window = CampaignWindow(viewer, session)

    def close(*_: object) -> None:
        viewer.window._qt_window.close()

    # the clock of the window lets Python look for signals every second
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, close)
    napari.run()
    window.closing.finish()  # Ctrl+C ends Qt at once, by napari's own handler
