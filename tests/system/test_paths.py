import logging
import os
import subprocess
from pathlib import Path

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import (
    ENV_NAMES,
    NnUNetPaths,
    configured_or_default_paths,
    configured_paths,
    export_lines,
)


def test_default_folders_are_used_and_told_but_not_made(
    no_paths: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    paths = configured_or_default_paths()
    assert paths.raw == no_paths / "nnsparse_data" / "nnUNet_raw"
    assert os.environ["nnUNet_results"] == str(paths.results)
    assert f"export nnUNet_raw={paths.raw}" in caplog.text
    assert list(no_paths.iterdir()) == []


def test_configured_folders_win(paths: NnUNetPaths) -> None:
    assert configured_or_default_paths() == configured_paths() == paths


def test_half_configured_is_an_error(paths: NnUNetPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_results")
    with pytest.raises(SparseError, match=r"^nnUNet_results not set"):
        configured_or_default_paths()
    monkeypatch.setenv("nnUNet_results", str(paths.results))
    paths.raw.rmdir()
    with pytest.raises(SparseError, match="not a folder"):
        configured_paths()


def test_export_lines_survive_the_shell(tmp_path: Path) -> None:
    paths = NnUNetPaths.below(tmp_path / 'it\'s a "$HOME" `x`')
    show = [f'printf "%s\\n" "${name}"' for name in ENV_NAMES]
    script = "\n".join([*export_lines(paths.environment()), *show])
    out = subprocess.run(
        ["sh", "-c", script], capture_output=True, encoding="utf-8", check=True
    ).stdout
    assert out.splitlines() == [str(paths.raw), str(paths.preprocessed), str(paths.results)]
