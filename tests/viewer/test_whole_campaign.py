"""Campaigns that are annotated in a real window, with mouse and keys, and imported."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
from annotate.phantom_campaign import TURNED, Kind, phantom_campaign
from campaign.annotator import read_rows
from training_fixtures import use_paths
from viewer.virtual_display import needs_display
from viewer.window_hand import Hand, blocks
from waiting import wait_for

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.import_command import main as import_campaign
from nnunet_sparse.system.paths import NnUNetPaths

pytestmark = [needs_display, pytest.mark.slow, pytest.mark.usefixtures("screen")]
SHAPE = (9, 12, 10)
KINDS = {
    "axis 0, 15 labels": Kind(shape=(6, 24, 20), num_labels=15, asked=(1,)),
    "axis 1, turned, two channels": Kind(
        axis=1, shape=SHAPE, affine=TURNED, channels=("MR", "CT"), asked=(2, 5)
    ),
    "axis 2, anisotropic": Kind(
        axis=2, shape=SHAPE, affine=np.diag([0.7, 1.1, 3.0, 1.0]), asked=(5,)
    ),
    "2D": Kind(shape=(1, 12, 10), cases=("a", "b")),
}


def check_import(
    campaign: Campaign, kind: Kind, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data set holds the truth on the slices that were asked for, and ignore elsewhere."""
    paths = NnUNetPaths.below(folder / "nnunet")
    paths.make_folders()
    use_paths(paths, monkeypatch)
    assert import_campaign([str(campaign.folder), "--val", "1", "-np", "1"]) == 0
    (dataset,) = paths.raw.iterdir()
    for case_id in kind.cases:
        expected = np.full(kind.shape, campaign.ignore_label)
        planes = np.moveaxis(expected, kind.axis, 0)
        asked = list(campaign.asked(case_id))
        planes[asked] = np.moveaxis(blocks(case_id, kind), kind.axis, 0)[asked]
        label = nibabel.load(dataset / "labelsTr" / f"{case_id}.nii.gz")  # type: ignore[attr-defined]
        np.testing.assert_array_equal(np.asarray(label.dataobj).T, expected)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_from_the_worklist_to_the_data_set(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    hand = Hand(campaign.folder)
    number = len(hand.session.queue.keys)
    for _ in range(number):
        hand.annotate(partial(blocks, kind=kind))
    assert "all slices that were asked for are annotated" in hand.dock
    hand.leave()
    assert len(read_rows(campaign.folder)) == number
    assert {row["status"] for row in read_rows(campaign.folder)} <= {"done", "confirmed empty"}
    check_import(campaign, kind, tmp_path, monkeypatch)


def test_another_process_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its volume is not offered while it lives; afterwards, with its strokes."""
    kind = Kind(shape=SHAPE, num_labels=1, asked=(1, 2))
    campaign, drawn = phantom_campaign(tmp_path / "campaign", kind), tmp_path / "drawn"
    process = Path(__file__).with_name("painting_process.py")
    other = subprocess.Popen([sys.executable, str(process), str(campaign.folder), str(drawn)])
    try:
        wait_for(drawn)
        hand = Hand(campaign.folder)
        assert hand.session.current is not None
        theirs, ours = ("a", "b") if hand.session.current[0] == "b" else ("b", "a")
        assert theirs in drawn.read_text(encoding="utf-8")
        for _ in range(2):
            assert hand.session.current[0] == ours
            hand.annotate(partial(blocks, kind=kind))
        assert f"{theirs} is open: jr" in hand.dock
    finally:
        other.kill()
        other.wait()
    hand.press("N")
    assert hand.session.current == (theirs, 1)
    assert (hand.plane[0, 1:4] == 1).all()
    hand.press("1")  # napari's eraser
    hand.stroke(0, (0, 4))
    hand.press("2")
    assert not hand.plane.any()
    hand.annotate(partial(blocks, kind=kind))
    hand.leave()  # in the middle of the work
    hand = Hand(campaign.folder)
    assert hand.session.current == (theirs, 2)
    hand.annotate(partial(blocks, kind=kind))
    hand.leave()
    check_import(campaign, kind, tmp_path, monkeypatch)
