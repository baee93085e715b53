from pathlib import Path

import pytest

from nnunet_sparse.annotate.annotate_command import main


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
