import multiprocessing
import sys
import types
from pathlib import Path

import pytest
from annotate.network_beside import phantom_network
from annotate.phantom_campaign import Kind, phantom_campaign

from nnunet_sparse.annotate.annotate_command import main
from nnunet_sparse.annotate.viewer import display_check


def test_what_is_no_campaign_is_refused_before_a_window_opens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path} is no campaign")
    assert said.count("\n") == 1


def test_annotators_are_text_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--annotator", "m\nk"]) == 2
    assert "--annotator must be printable text" in capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The line with which the command ends."""
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_networks_that_do_not_fit_are_refused_before_a_window_opens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = Kind(cases=("a",))
    folder = phantom_campaign(tmp_path / "campaign", kind).folder
    assert "is no folder" in refused(capsys, folder, "--model", tmp_path / "nothing")
    assert "-f works with --model" in refused(capsys, folder, "-f", 0)
    assert "-device works with --model" in refused(capsys, folder, "-device", "cpu")
    model = phantom_network(tmp_path / "results", kind)
    assert "fold_1" in refused(capsys, folder, "--model", model, "-f", 1)
    other = phantom_network(tmp_path / "other", Kind(num_labels=3))
    assert "was trained with the labels" in refused(capsys, folder, "--model", other)


@pytest.mark.slow
def test_a_damaged_network_is_refused_before_a_window_opens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Kind(cases=("a",))
    folder = phantom_campaign(tmp_path / "campaign", kind).folder
    model = phantom_network(tmp_path / "results", kind)
    (model / "fold_0" / "checkpoint_final.pth").write_bytes(b"damaged")
    monkeypatch.setattr(display_check, "check_display", lambda: None)
    opened = types.ModuleType("open_window")
    monkeypatch.setitem(sys.modules, "nnunet_sparse.annotate.viewer.open_window", opened)
    opened.run_window = None  # type: ignore[attr-defined]
    said = refused(capsys, folder, "--model", model)
    assert "checkpoint_final.pth is no checkpoint of nnU-Net" in said
    assert multiprocessing.active_children() == []
