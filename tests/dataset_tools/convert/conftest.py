"""A tiny LiTS17 as it is published, and its conversion."""

from pathlib import Path

import pytest
from lits_conversion import SIZE, Convert
from published_trees import lits_tree

from nnunet_sparse.dataset_tools.convert.convert_command import main_lits17
from nnunet_sparse.system.paths import NnUNetPaths


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return lits_tree(tmp_path / "LiTS17")


@pytest.fixture
def convert(paths: NnUNetPaths, source: Path) -> Convert:
    def run(*arguments: str) -> Path:
        assert main_lits17([str(source), "-np", "1", *(arguments or SIZE)]) == 0
        (folder,) = paths.raw.glob("Dataset*")
        return folder

    return run
