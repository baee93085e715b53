"""Somebody who works in the window with mouse and keys."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from annotate.phantom_campaign import Kind
from waiting import GUARD_S

SIZE = 1300, 850


def blocks(case_id: str, kind: Kind) -> np.ndarray:
    """Truth (z, y, x): a row of each label, and none on slice 2."""
    label = np.zeros(kind.shape, np.uint8)
    planes = np.moveaxis(label, kind.axis, 0)
    rows = planes.shape[1]
    for i, plane in enumerate(planes):
        for value in range(1, kind.num_labels + 1):
            row = (value * 3 + i) % rows
            first = (value + len(case_id) + ord(case_id[0])) % (plane.shape[1] - 3)
            plane[row, first : first + 3] = value
    if len(planes) > 2:
        planes[2] = 0
    return label


class Hand:
    """A window, and what somebody does in it.

    Parameters
    ----------
    folder
        The campaign's.
    annotator
        Who.
    options
        Of :func:`open_window`.
    """

    def __init__(self, folder: Path, annotator: str = "mk", **options: Any) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from nnunet_sparse.annotate.viewer.open_window import open_window

        self.viewer = napari.Viewer()
        self.main = self.viewer.window._qt_window
        self.main.resize(*SIZE)
        self.application = QApplication.instance()
        self.window = open_window(self.viewer, folder, annotator, **options)
        self.session = self.window.session
        self.canvas = self.viewer.window._qt_viewer.canvas.native
        for _ in range(10):  # the window gets its size in several steps
            self.settle()
        self.wait(lambda: self._size == tuple(self.viewer.canvas.size))
        if self.window.layers is not None:
            self.window.layers.fit()  # as the clock does: not in the middle of a stroke
        self.settle()

    @property
    def _size(self) -> tuple[int, int]:
        """Rows and columns of pixels that the image is drawn on."""
        return self.canvas.height(), self.canvas.width()

    @property
    def dock(self) -> str:
        """What the dock says."""
        from qtpy.QtWidgets import QLabel

        found = self.window.dock.widget.findChildren(QLabel)
        return "\n".join(label.text() for label in found if label.isVisible())

    @property
    def labels(self) -> str:
        """Labels that the dock offers."""
        from qtpy.QtWidgets import QListWidget

        (found,) = self.window.dock.widget.findChildren(QListWidget)
        return "\n".join(found.item(k).text() for k in range(found.count()))

    @property
    def bar(self) -> str:
        """What stands on the bar of the dock."""
        from qtpy.QtWidgets import QProgressBar

        return str(self.window.dock.widget.findChild(QProgressBar).text())

    @property
    def plane(self) -> np.ndarray:
        """The label on the slice that is shown."""
        volume = self.session.volume
        assert volume is not None
        return volume.planes[self.session.shown]

    def settle(self) -> None:
        """Let the window do what it has to."""
        for _ in range(5):
            self.application.processEvents()

    def wait(self, until: Callable[[], object]) -> None:
        """Let the window work until something has happened."""
        end = time.monotonic() + GUARD_S
        while not until():
            assert time.monotonic() < end, self.dock
            self.application.processEvents()
            time.sleep(0.01)

    def press(self, key: str, control: bool = False) -> None:
        """Press a key over the image."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        modifiers = Qt.KeyboardModifier
        held = modifiers.ControlModifier if control else modifiers.NoModifier
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{key}"), held)
        self.settle()

    def choose(self, value: int) -> None:
        """Click on a label in the dock."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QListWidget

        (found,) = self.window.dock.widget.findChildren(QListWidget)
        item = found.item(value - 1)
        found.scrollToItem(item)
        middle = found.visualItemRect(item).center()
        QTest.mouseClick(found.viewport(), Qt.MouseButton.LeftButton, pos=middle)
        self.settle()

    def click(self, action: str) -> None:
        """Click on a button of the dock."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QPushButton

        button = self.window.dock.widget.findChild(QPushButton, f"nnsparse_{action}")
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.settle()

    def stroke(self, row: int, columns: tuple[int, int]) -> None:
        """Draw along a row of the slice, from one column to another one."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        begin, end = (self._place(row, column) for column in columns)
        QTest.mouseMove(self.canvas, begin)
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=begin)
        self.settle()
        self._drag(end)
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=end)
        self.settle()

    def paint(self, truth: np.ndarray) -> None:
        """Paint a slice, (rows, columns), by the truth, with a brush of one pixel."""
        layers = self.window.layers
        assert layers is not None
        layers.label.brush_size = 1
        for value in np.unique(truth[truth > 0]):
            self.choose(int(value))
            for row, first, last in _runs(truth == value):
                self.stroke(row, (first, last))

    def annotate(self, truth: Callable[[str], np.ndarray]) -> None:
        """Paint the slice that is to be annotated by the truth, and go on."""
        current, volume = self.session.current, self.session.volume
        assert current is not None
        assert volume is not None
        plane = np.moveaxis(truth(current[0]), volume.campaign.axis, 0)[current[1]]
        if plane.any():
            self.paint(plane)
            np.testing.assert_array_equal(self.plane, plane)
            self.press("N")
        else:
            self.press("N")
            assert "confirm" in self.dock
            self.press("Y")

    def leave(self) -> None:
        """Close the window, which goes when all is written."""
        self.main.close()
        self.wait(lambda: not self.main.isVisible())
        self.settle()

    def _place(self, row: int, column: int) -> Any:
        """Where a pixel of the slice lies on the canvas."""
        from qtpy.QtCore import QPoint

        volume = self.session.volume
        assert volume is not None
        axis, camera = volume.campaign.axis, self.viewer.camera
        rows, columns = (k for k in range(3) if k != axis)
        world = {rows: row * volume.spacing_mm[rows], columns: column * volume.spacing_mm[columns]}
        place = []
        for k, (shown, forward) in enumerate(
            zip(self.viewer.dims.displayed, ("down", "right"), strict=True)
        ):
            sign = 1 if camera.orientation2d[k] == forward else -1
            offset = (world[shown] - camera.center[k + 1]) * camera.zoom
            place.append(self.viewer.canvas.size[k] / 2 + sign * offset)
        return QPoint(round(place[1]), round(place[0]))

    def _drag(self, end: Any) -> None:
        """Move the mouse with its button held: QTest says of moves that no button is."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent

        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        there = QPointF(end), QPointF(self.canvas.mapToGlobal(end))
        move = QMouseEvent(QEvent.Type.MouseMove, *there, Qt.MouseButton.NoButton, left, none)
        self.application.sendEvent(self.canvas, move)
        self.settle()


def _runs(mask: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Row, first and last column of each run of a mask."""
    for row, line in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(int), [0]))))
        for first, end in edges.reshape(-1, 2):
            yield row, int(first), int(end) - 1
