"""What the window does besides painting: veil, tools, proposals, questions, plug-in."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from annotate.phantom_campaign import Kind, Person, phantom_campaign
from campaign.annotator import read_rows
from plain_file_systems import without
from viewer.virtual_display import needs_display
from viewer.window_hand import Hand, blocks

from nnunet_sparse.annotate.display import CT_WINDOWS
from nnunet_sparse.campaign.progress import find_progress

pytestmark = [needs_display, pytest.mark.slow, pytest.mark.usefixtures("screen")]
KIND = Kind(shape=(9, 12, 10), channels=("CT", "MR"), cases=("a",), asked=(1, 2, 5, 7))


@pytest.fixture(scope="module")
def hand(screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    """A window whose tests go on from one another, in the order of this file."""
    del screen
    folder = tmp_path_factory.mktemp("window") / "campaign"
    phantom_campaign(folder, KIND)
    hand = Hand(folder)
    yield hand
    hand.leave()


def truth(index: int) -> np.ndarray:
    return blocks("a", KIND)[index]


def test_what_is_seen_first(hand: Hand) -> None:
    for text in ("a, slice 1", "to be annotated", "round 1, random", "organ", "0 min so far"):
        assert text in f"{hand.dock} {hand.labels}"
    assert hand.bar == "0 of 4 slices"
    layers = hand.window.layers
    assert layers is not None
    assert [layer.name for layer in layers.images] == ["0: CT", "1: MR"]
    assert [layer.visible for layer in layers.images] == [True, False]
    hand.press("H")
    assert [layer.visible for layer in layers.images] == [False, True]
    hand.press("F3")
    assert tuple(layers.images[0].contrast_limits) == CT_WINDOWS["bone"]
    assert tuple(layers.images[1].contrast_limits) != CT_WINDOWS["bone"]
    hand.press("H")


def test_slices_that_are_not_asked_for_take_no_paint(hand: Hand) -> None:
    hand.press("PageUp")
    hand.press("PageUp")
    assert hand.session.shown == 3
    assert "takes no paint" in hand.dock
    hand.choose(2)
    hand.stroke(4, (2, 6))
    assert "slice 3 was not asked for and takes no paint" in hand.dock
    assert (hand.plane == hand.session.campaign.ignore_label).all()
    hand.press("O")  # is no answer to a slice that is not seen
    assert hand.session.shown == 1
    assert "press the key again" in hand.dock
    assert hand.session.progress == (0, 4)


def test_ignore_is_not_painted(hand: Hand) -> None:
    layers = hand.window.layers
    assert layers is not None
    layers.label.selected_label = hand.session.campaign.ignore_label
    hand.stroke(4, (2, 6))
    assert "is ignore, which is not painted" in hand.dock
    assert not hand.plane.any()


def test_undo_and_buttons(hand: Hand) -> None:
    hand.choose(1)
    hand.stroke(4, (2, 6))
    assert hand.plane.sum() == 5
    assert "painted, not saved yet" in hand.dock
    hand.press("Z", control=True)
    assert not hand.plane.any()
    hand.paint(truth(1))
    hand.click("next")
    assert hand.session.current == ("a", 2)
    assert hand.bar == "1 of 4 slices"


def test_proposals_are_outlines_until_they_are_accepted(hand: Hand) -> None:
    layers = hand.window.layers
    assert layers is not None
    hand.press("A")
    assert "proposal" in [layer.name for layer in hand.viewer.layers]
    assert hand.viewer.layers.selection.active is layers.label
    np.testing.assert_array_equal(layers.proposal, truth(1))  # the only one that is annotated
    assert not hand.plane.any()
    hand.press("A")
    assert "proposal" not in [layer.name for layer in hand.viewer.layers]
    np.testing.assert_array_equal(hand.plane, truth(1))
    hand.press("N")
    assert "confirm that it is right" in hand.dock
    assert hand.session.current == ("a", 2)
    hand.press("Y")
    assert hand.session.current == ("a", 5)
    hand.press("Y")
    assert "nothing to be confirmed" in hand.dock


def test_unsure_takes_the_note(hand: Hand) -> None:
    hand.window.dock.note.setText("vessel?")
    hand.press("U")
    assert hand.session.current == ("a", 7)
    assert hand.window.dock.note.text() == ""
    hand.press("C")
    np.testing.assert_array_equal(hand.plane, truth(1))
    hand.press("Backspace")
    assert hand.session.current == ("a", 5)
    assert "vessel?" in hand.dock
    hand.session.visit(("a", 7))
    hand.press("R")


def test_a_plug_in_puts_another_array_in_its_place(hand: Hand) -> None:
    layers, volume = hand.window.layers, hand.session.volume
    assert layers is not None
    assert volume is not None
    label = volume.label.copy()
    label[7] = 2
    layers.label.data = label
    hand.press("N")
    assert layers.label.data is volume.label
    assert hand.session.current == ("a", 5)
    assert (volume.decided(7) == 2).all()


def test_what_cannot_be_written_is_said_at_once(hand: Hand) -> None:
    with without("open"):
        hand.choose(1)
        hand.stroke(4, (2, 6))
        hand.wait(lambda: "they are kept here as long as this is open" in hand.dock)
    hand.wait(lambda: "they are kept here" not in hand.dock)
    assert hand.plane.sum() == 5
    hand.press("N")
    assert "all slices that were asked for are annotated" in hand.dock
    assert {r["status"] for r in read_rows(hand.session.campaign.folder)} <= {"done", "touched"}


def test_a_window_is_not_closed_at_once_if_strokes_would_be_lost(tmp_path: Path) -> None:
    hand = Hand(phantom_campaign(tmp_path / "campaign", KIND).folder)
    hand.choose(1)
    with without("open"):
        hand.stroke(4, (2, 6))
        for _ in range(2):
            hand.main.close()
            hand.settle()
            assert "close the window once more to lose it" in hand.dock
            hand.press("R")  # goes on, and is warned again
        hand.main.close()
        hand.main.close()
        hand.wait(lambda: not hand.main.isVisible())


def test_free(tmp_path: Path) -> None:
    kind = Kind(shape=(9, 12, 10), cases=("a",), asked=(1,))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    hand = Hand(campaign.folder, free=True)
    hand.press("PageUp")
    assert "what you paint is extra" in hand.dock
    hand.stroke(4, (2, 6))
    assert "extra: it was not asked for" in hand.dock
    hand.leave()
    assert find_progress(campaign, None, None, 1)[1].cases["a"].states.extra == (2,)


def test_a_second_reading_shows_nothing_of_the_first_one(tmp_path: Path) -> None:
    """In the same window, after the last slice that nobody has annotated yet."""
    kind = Kind(shape=(9, 12, 10), asked=(1,), second=(1,))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    first = Person(campaign.folder, kind, "mk")
    (case_id, _), other = first.key, {"a": "b", "b": "a"}[first.key[0]]
    first.annotate_slice()
    first.session.close()
    hand = Hand(campaign.folder, "jr")
    assert hand.session.current == (other, 1)
    hand.stroke(4, (2, 6))
    hand.press("N")
    assert hand.session.current == (case_id, 1)
    for text in ("a second reading", f"{case_id}, slice 1"):
        assert text in hand.dock
    assert hand.bar == "0 of 1 slices"
    assert not hand.plane.any()
    hand.press("A")
    assert "no slice with an object is annotated" in hand.dock
    hand.stroke(6, (2, 6))
    hand.press("N")
    assert "all slices that were asked for are annotated" in hand.dock
    assert "second readings that are left to others: 1" in hand.dock
    hand.leave()
    (row,) = (r for r in read_rows(campaign.folder / "second_reading") if r["case"] == case_id)
    assert (row["status"], row["annotator"]) == ("done", "jr")


def test_a_campaign_is_dropped_on_napari(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    done = _in_process("dropping_process.py", campaign.folder)
    said = "ERROR: a campaign is open in this window: close the window first\nclosed\n"
    assert (done.returncode, done.stdout) == (0, said), done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_window_writes_all_before_it_ends(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    done = _in_process("interrupted_process.py", campaign.folder)
    assert (done.returncode, done.stdout) == (0, "open: []\n"), done.stderr


def _in_process(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of this folder on a campaign."""
    words = [sys.executable, Path(__file__).with_name(script), folder]
    return subprocess.run(words, capture_output=True, encoding="utf-8", check=False)


def test_the_command_without_a_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", KIND)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    program = Path(sys.executable).with_name("nnsparse_annotate")
    done = subprocess.run(
        [program, campaign.folder], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no display")
    assert done.stderr.count("\n") == 1
