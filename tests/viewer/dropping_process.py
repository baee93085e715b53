"""``python dropping_process.py CAMPAIGN``: drop its ``campaign.json`` twice, and leave."""

import sys
import time
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

if __name__ == "__main__":
    viewer = napari.Viewer()
    file = Path(sys.argv[1]) / "campaign.json"
    viewer.open(file, plugin="nnunet-sparse")
    assert "annotation" in [layer.name for layer in viewer.layers]
    menus = viewer.window._qt_window.menuBar().actions()
    assert "Plugins" in [action.text().replace("&", "") for action in menus]
    viewer.open(file, plugin="nnunet-sparse")
    viewer.window._qt_window.close()
    while viewer.window._qt_window.isVisible():
        QApplication.processEvents()
        time.sleep(0.01)
    print("closed")
