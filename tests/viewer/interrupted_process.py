"""``python interrupted_process.py CAMPAIGN``: get Ctrl+C where closing takes long."""

import signal
import sys
import time
from functools import partial
from pathlib import Path

import napari
from qtpy.QtCore import QTimer

from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.annotate.viewer.open_window import run_window

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    run, close = napari.run, AnnotationSession.close

    def run_and_interrupt() -> None:
        """Run Qt, and get the signal as soon as it does."""
        QTimer.singleShot(0, partial(signal.raise_signal, signal.SIGINT))
        run()

    def close_slowly(session: AnnotationSession) -> list[str]:
        """Close as on a slow disk."""
        time.sleep(1)
        return close(session)

    napari.run, AnnotationSession.close = run_and_interrupt, close_slowly
    run_window(folder, "mk")
    print("open:", [path.name for path in (folder / "labels").glob(".*.nnsparse_open")])
