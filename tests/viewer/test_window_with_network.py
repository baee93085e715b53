"""A window beside which a trained network looks at the volumes."""

from pathlib import Path

import numpy as np
import pytest
from annotate.network_beside import phantom_network
from annotate.phantom_campaign import Kind, phantom_campaign
from campaign.annotator import read_rows
from viewer.virtual_display import needs_display
from viewer.window_hand import Hand

from nnunet_sparse.annotate.network_view import NetworkView
from nnunet_sparse.prediction.trained_network import TrainedNetwork

pytestmark = [needs_display, pytest.mark.slow, pytest.mark.usefixtures("screen")]
KIND = Kind(shape=(9, 12, 10), cases=("a", "b"), asked=(1, 2))


def outlines(hand: Hand) -> np.ndarray | None:
    assert hand.window.layers is not None
    return hand.window.layers.proposal


def test_what_a_network_sees_is_an_outline_until_it_is_accepted(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    model = phantom_network(tmp_path / "results", KIND)
    view = NetworkView(campaign, TrainedNetwork.open(model), "cpu")
    hand = Hand(campaign.folder, network=view)
    hand.press("G")
    assert "press the key again in a while" in hand.dock
    assert "the network" in hand.dock
    hand.stroke(4, (2, 6))  # meanwhile all else goes on
    assert hand.plane.sum() == 5
    hand.press("Z", control=True)
    hand.wait(lambda: "the network has seen case a" in hand.dock)
    hand.press("G")
    assert "what the network sees: G accepts it" in hand.dock
    seen = view.slice_of("a", 1)
    np.testing.assert_array_equal(outlines(hand), seen)
    assert not hand.plane.any()
    hand.press("A")  # nothing is annotated between which anything lies
    assert outlines(hand) is None
    hand.press("G")
    hand.click("propose_network")
    assert outlines(hand) is None
    np.testing.assert_array_equal(hand.plane, seen)
    hand.press("N")
    assert "confirm that it is right" in hand.dock
    hand.press("Y")
    assert hand.session.current == ("a", 2)
    hand.press("G")
    hand.press("A")  # one key each: the other outline
    np.testing.assert_array_equal(outlines(hand), seen)  # that of slice 1, beyond which is nothing
    assert "A accepts it" in hand.dock
    hand.press("G")
    np.testing.assert_array_equal(outlines(hand), view.slice_of("a", 2))
    hand.press("O")
    hand.press("Y")
    hand.wait(lambda: "the network has seen case b" in hand.dock)  # while a was looked at
    hand.leave()
    assert view.doing == ""
    notes = [row["note"] for row in read_rows(campaign.folder) if row["case"] == "a"]
    assert notes == [f"proposal of a network accepted: {view.origin}", ""]


def test_a_form_of_napari_with_a_network(tmp_path: Path) -> None:
    import napari
    from qtpy.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton

    from nnunet_sparse.annotate.viewer.napari_plugin import campaign_form

    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    (tmp_path / "nothing").mkdir()
    viewer = napari.Viewer()
    form = campaign_form(viewer)
    folder, model = (form.findChild(QLineEdit, f"nnsparse_{name}") for name in ("folder", "model"))
    start, said = (
        form.findChild(QPushButton, "nnsparse_start"),
        form.findChild(QLabel, "nnsparse_said"),
    )
    folder.setText(str(campaign.folder))
    model.setText(str(tmp_path / "nothing"))
    start.click()
    assert "dataset.json" in said.text()
    assert start.isEnabled()
    model.setText(str(phantom_network(tmp_path / "results", KIND)))
    start.click()
    assert said.text() == ""
    assert "annotation" in [layer.name for layer in viewer.layers]
    viewer.window._qt_window.close()
    while viewer.window._qt_window.isVisible():
        QApplication.processEvents()
    viewer.close()
