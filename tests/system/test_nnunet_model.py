from pathlib import Path

import pytest

from nnunet_sparse.system.nnunet_model import fold_folder, nnunet_model_name


def test_folders_are_nnunets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnunetv2.utilities import file_path_utilities

    monkeypatch.setattr(file_path_utilities, "nnUNet_results", str(tmp_path))
    theirs = file_path_utilities.get_output_folder("Dataset004_A", "Trainer", "plans", "2d", 1)
    ours = fold_folder(tmp_path / "Dataset004_A" / nnunet_model_name("Trainer", "plans", "2d"), 1)
    assert Path(theirs) == ours
