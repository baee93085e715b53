"""The dock beside the image: what is to be done, how far it is, and the keys."""

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from nnunet_sparse.annotate.viewer.window_keys import WindowKey
from nnunet_sparse.annotate.viewer.work_texts import Shown

_BOX = "padding: 6px; border-radius: 4px; color: black; background: "
_MESSAGE_STYLE = f"{_BOX}#f0d35c;"
_MAIN_STYLE = "background: #2f6db5; color: white; font-weight: bold;"
_PROBLEM_STYLE = f"{_BOX}#f28b6d;"


class WorkDock:
    """The dock.

    Parameters
    ----------
    keys
        Shown as buttons.
    press
        Called with the key of a button that was pressed.
    choose_label
        Called with the label that is to be painted.
    resolve
        Called with whether what was painted here stays, at the end of a conflict.

    Attributes
    ----------
    widget
        What napari docks.
    note
        The line into which a note is written.
    """

    def __init__(
        self,
        keys: tuple[WindowKey, ...],
        press: Callable[[WindowKey], None],
        choose_label: Callable[[int], None],
        resolve: Callable[[bool], None],
    ) -> None:
        self._choose = choose_label
        self.widget = QWidget()
        self.widget.setObjectName("nnsparse_dock")
        self.widget.setMinimumWidth(340)
        layout = QVBoxLayout(self.widget)

        def line(style: str = "") -> Any:
            label = QLabel()
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)  # names of others are no markup
            label.setStyleSheet(style)
            layout.addWidget(label)
            return label

        self._title = line("font-size: 15pt; font-weight: bold;")
        self._state, self._reason, self._noted = line("font-size: 12pt;"), line(), line()
        self._message, self._problems = line(_MESSAGE_STYLE), line(_PROBLEM_STYLE)
        self._versions = QWidget()
        versions = QGridLayout(self._versions)
        versions.setContentsMargins(0, 0, 0, 0)
        for column, (text, mine) in enumerate((("keep mine", True), ("take the file's", False))):
            button = QPushButton(text)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _=False, mine=mine: resolve(mine))
            versions.addWidget(button, 0, column)
        layout.addWidget(self._versions)
        self._bar = QProgressBar()
        self._bar.setFormat("%v of %m slices")
        layout.addWidget(self._bar)
        self._time, self._network = line(), line("color: gray;")

        layout.addWidget(QLabel("Paint (click, or keys - and =):"))
        self._labels = QListWidget()
        self._labels.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._labels.setMaximumHeight(120)
        self._labels.currentRowChanged.connect(self._chosen)
        self._values: list[int] = []
        layout.addWidget(self._labels)

        layout.addLayout(_button_grid(keys, press))
        self.note = QLineEdit()
        self.note.setPlaceholderText("note, kept by U (unsure)")
        self.note.returnPressed.connect(self.note.clearFocus)
        layout.addWidget(self.note)
        self._help = line("color: gray;")
        layout.addStretch(1)

    def set_labels(self, names: Mapping[int, str], colors: Mapping[int, str]) -> None:
        """List the labels that can be painted."""
        values = [value for value in names if value in colors]
        if values == self._values:
            return
        self._labels.blockSignals(True)
        self._labels.clear()
        self._values = values
        for value in values:
            pixmap = QPixmap(16, 16)
            pixmap.fill(QColor(colors[value]))
            self._labels.addItem(QListWidgetItem(QIcon(pixmap), f"{value}  {names[value]}"))
        self._labels.blockSignals(False)

    def mark_label(self, value: int) -> None:
        """Mark the label that is painted."""
        row = self._values.index(value) if value in self._values else -1
        if row != self._labels.currentRow():
            self._labels.blockSignals(True)
            self._labels.setCurrentRow(row)
            self._labels.blockSignals(False)

    def set_help(self, keys: tuple[WindowKey, ...]) -> None:
        """List keys that have no button."""
        self._help.setText("\n".join(f"{key.key}: {key.text}" for key in keys))

    def show(self, shown: Shown) -> None:
        """Say how it stands."""
        for label, text in (
            (self._title, shown.title),
            (self._state, shown.state),
            (self._reason, shown.reason and f"chosen in {shown.reason}"),
            (self._noted, shown.note and f"note: {shown.note}"),
            (self._message, shown.message),
            (self._problems, "\n".join(shown.problems)),
            (self._time, shown.time),
            (self._network, shown.network),
        ):
            if label.text() != text:
                label.setText(text)
            label.setVisible(bool(text))
        self._versions.setVisible(shown.conflict)
        self._bar.setMaximum(max(shown.asked, 1))
        self._bar.setValue(shown.done)

    def _chosen(self, row: int) -> None:
        if 0 <= row < len(self._values):
            self._choose(self._values[row])


def _button_grid(keys: tuple[WindowKey, ...], press: Callable[[WindowKey], None]) -> Any:
    """Lay out a button for each key."""
    grid = QGridLayout()
    for row, key in enumerate(keys):
        name = QLabel(key.key)
        name.setStyleSheet("font-weight: bold;")
        button = QPushButton(key.text)
        button.setObjectName(f"nnsparse_{key.action}")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        style = _MAIN_STYLE if not row else ""
        button.setStyleSheet(f"text-align: left; padding: 3px; {style}")
        button.clicked.connect(lambda _=False, key=key: press(key))
        grid.addWidget(name, row, 0)
        grid.addWidget(button, row, 1)
    grid.setColumnStretch(1, 1)
    return grid
