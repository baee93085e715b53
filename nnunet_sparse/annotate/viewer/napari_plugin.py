"""What napari's menus call: the campaign of a ``campaign.json``, and a form that asks for one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from nnunet_sparse.annotate.user_name import user_name
from nnunet_sparse.annotate.viewer.open_window import open_window
from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE, Campaign
from nnunet_sparse.system.errors import SparseError, os_error_message

LayerData = tuple[Any, ...]


def campaign_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Reader of a dropped ``campaign.json``; None for files that are none."""
    file = Path(path if isinstance(path, str) else path[0])
    if file.name != CAMPAIGN_FILE:
        return None
    try:
        Campaign.read(file.parent)
    except (SparseError, OSError):
        return None

    def read(_: Any) -> list[LayerData]:
        viewer = napari.current_viewer()
        if viewer is None:
            raise SparseError(f"{file} is opened in a window of napari")
        open_window(viewer, file.parent, user_name())
        return [(None,)]  # as napari calls it when nothing more is to be added

    return read


def campaign_form(napari_viewer: napari.Viewer) -> QWidget:
    """Form that asks for a campaign and an annotator, and opens it."""
    form = QWidget()
    layout = QFormLayout(form)
    folder, annotator = QLineEdit(), QLineEdit(user_name())
    free = QCheckBox("other slices take paint as well")
    choose, start, said = QPushButton("choose ..."), QPushButton("annotate"), QLabel()
    said.setWordWrap(True)
    for name, widget in (
        ("campaign", folder),
        ("", choose),
        ("annotator", annotator),
        ("", free),
        ("", start),
        ("", said),
    ):
        layout.addRow(name, widget)

    def ask() -> None:
        found = QFileDialog.getExistingDirectory(form, "Folder of a campaign")
        if found:
            folder.setText(found)

    def open_it() -> None:
        try:
            if not folder.text():
                raise SparseError("choose the folder of a campaign")
            name = annotator.text().strip()
            open_window(napari_viewer, Path(folder.text()), name, free.isChecked())
        except SparseError as error:
            said.setText(str(error))
        except OSError as error:
            said.setText(os_error_message(error))
        else:
            start.setEnabled(False)

    choose.clicked.connect(ask)
    start.clicked.connect(open_it)
    return form
