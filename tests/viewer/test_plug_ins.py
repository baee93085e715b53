"""Other plug-ins of napari beside our dock, which leave what they find in layers of their own."""

from pathlib import Path

import numpy as np
import pytest
from annotate.phantom_campaign import Kind, phantom_campaign
from viewer.virtual_display import needs_display
from viewer.window_hand import Hand

pytestmark = [needs_display, pytest.mark.slow, pytest.mark.usefixtures("screen")]
KIND = Kind(shape=(9, 12, 10), channels=("CT", "MR"), cases=("a", "b"), asked=(1,))


def offered(selection: object) -> list[str]:
    """Names in a list of layers."""
    count, text = selection.count, selection.itemText  # type: ignore[attr-defined]
    return [str(text(k)) for k in range(count())]


def test_what_another_layer_shows_is_inserted(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    hand = Hand(campaign.folder)
    layers, viewer = hand.window.layers, hand.viewer
    assert layers is not None
    hand.press("I")
    assert "there is no other layer of labels" in hand.dock
    found = np.zeros(KIND.shape, np.int32)
    found[1, 4, 2:7] = 7  # whatever the plug-in calls it
    scale = layers.label.scale
    viewer.add_labels(np.ones((2, 2, 2), int), name="elsewhere")
    viewer.add_labels(np.ones(KIND.shape, int), name="hidden", scale=scale, visible=False)
    viewer.add_labels(found, name="found", scale=scale)
    hand.choose(2)
    hand.press("I")
    assert "taken from layer found" in hand.dock
    np.testing.assert_array_equal(hand.plane, 2 * (found[1] > 0))
    hand.press("Z", control=True)
    assert not hand.plane.any()
    viewer.layers.selection.active = viewer.layers["hidden"]
    hand.press("I")
    assert (hand.plane == 2).all()
    hand.press("N")
    assert hand.session.current == ("b", 1)
    hand.press("I")  # what was found in another volume
    assert "there is no other layer of labels" in hand.dock
    viewer.layers["found"].data = np.zeros_like(found)
    hand.press("I")
    assert "layer found shows nothing on this slice" in hand.dock
    assert not hand.plane.any()
    hand.leave()


def test_nninteractive_offers_our_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are not needed for that."""
    pytest.importorskip("napari_nninteractive", reason="pip install napari-nninteractive")
    from qtpy.QtCore import QSettings

    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    hand = Hand(campaign.folder)
    _, widget = hand.viewer.window.add_plugin_dock_widget("napari-nninteractive")
    hand.settle()
    assert offered(widget.image_selection) == ["0: CT", "1: MR"]
    assert offered(widget.label_for_init) == ["annotation"]
    layers, volume = hand.window.layers, hand.session.volume
    assert layers is not None
    assert volume is not None
    image = hand.viewer.layers[widget.image_selection.currentText()]
    assert image.data.shape == volume.label.shape
    # as it adds what it has segmented
    segmented = np.zeros(volume.label.shape, np.uint8)
    segmented[1, 4, 2:7] = 1
    hand.viewer.add_labels(segmented, name="nnInteractive - Label Layer", scale=image.scale)
    hand.choose(2)
    hand.press("I")
    assert "taken from layer nnInteractive - Label Layer" in hand.dock
    np.testing.assert_array_equal(hand.plane, 2 * segmented[1])
    hand.press("N")
    assert hand.session.current == ("b", 1)
    hand.leave()
