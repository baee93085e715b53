"""What napari's menus call: the campaign of a ``campaign.json``, and a form that asks for one."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
from napari.utils.notifications import show_error
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from nnunet_sparse.annotate.network_view import NetworkView
from nnunet_sparse.annotate.user_name import user_name
from nnunet_sparse.annotate.viewer.open_window import open_window
from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE, Campaign
from nnunet_sparse.prediction.model_options import fold_of
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.errors import SparseError, os_error_message

LayerData = tuple[Any, ...]


def campaign_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Reader of a dropped ``campaign.json``; None for files that are none."""
    file = Path(path if isinstance(path, str) else path[0])
    if file.name != CAMPAIGN_FILE:
        return None

    def read(_: Any) -> list[LayerData]:
        viewer = napari.current_viewer()
        if viewer is None:
            raise SparseError(f"{file} is opened in a window of napari")
        try:
            open_window(viewer, file.parent, user_name())
        except SparseError as error:  # of what a reader raises napari shows a traceback
            show_error(str(error))
        except OSError as error:
            show_error(os_error_message(error))
        return [(None,)]  # as napari calls it when nothing more is to be added

    return read


def campaign_form(napari_viewer: napari.Viewer) -> QWidget:
    """Form that asks for a campaign and an annotator, and opens it."""
    form = QWidget()
    layout = QFormLayout(form)
    folder, annotator, model, folds = QLineEdit(), QLineEdit(user_name()), QLineEdit(), QLineEdit()
    folder.setObjectName("nnsparse_folder")
    model.setObjectName("nnsparse_model")
    model.setPlaceholderText("nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION")
    folds.setPlaceholderText("all that are trained")
    free = QCheckBox("other slices take paint as well")
    start, said = QPushButton("annotate"), QLabel()
    start.setObjectName("nnsparse_start")
    said.setObjectName("nnsparse_said")
    said.setWordWrap(True)
    for name, widget in (
        ("campaign", folder),
        ("", _chooser(form, folder, "Folder of a campaign")),
        ("annotator", annotator),
        ("network, if any", model),
        ("", _chooser(form, model, "Folder of a training")),
        ("its folds", folds),
        ("", free),
        ("", start),
        ("", said),
    ):
        layout.addRow(name, widget)

    def open_it() -> None:
        try:
            if not folder.text():
                raise SparseError("choose the folder of a campaign")
            where, name = Path(folder.text()), annotator.text().strip()
            network = _network_view(where, model.text().strip(), folds.text())
            open_window(napari_viewer, where, name, free.isChecked(), network)
        except SparseError as error:
            said.setText(str(error))
        except OSError as error:
            said.setText(os_error_message(error))
        else:
            said.setText("")
            start.setEnabled(False)

    start.clicked.connect(open_it)
    return form


def _chooser(form: QWidget, line: QLineEdit, title: str) -> QPushButton:
    """Button that asks for a folder and writes it into a line."""
    button = QPushButton("choose ...")

    def ask() -> None:
        found = QFileDialog.getExistingDirectory(form, title)
        if found:
            line.setText(found)

    button.clicked.connect(ask)
    return button


def _network_view(campaign: Path, model: str, folds: str) -> NetworkView | None:
    """The network of a folder, beside the window; None where none is named."""
    try:
        wanted = [fold_of(word) for word in folds.replace(",", " ").split()]
    except argparse.ArgumentTypeError as error:
        raise SparseError(f"folds: {error}") from error
    if not model:
        return None
    network = TrainedNetwork.open(Path(model), wanted or None)
    return NetworkView(Campaign.read(campaign), network)
