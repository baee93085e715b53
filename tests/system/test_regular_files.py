import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_sparse.grid.yaml_lines import read_yaml
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.plain_pickle import read_plain_pickle
from nnunet_sparse.system.regular_files import read_regular
from nnunet_sparse.system.spreadsheet import read_spreadsheet


@pytest.mark.parametrize(
    "read", [read_regular, load_json, read_plain_pickle, read_spreadsheet, read_yaml]
)
def test_nothing_waits_for_a_pipe_or_reads_a_device(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for file in (pipe, link):
        with pytest.raises(SparseError, match=f"{file} is no file but a pipe, a device"):
            read(file)


def test_missing_files_and_folders_are_told_by_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
