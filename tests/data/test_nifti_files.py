"""Headers that are read once."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunet_sparse.data import nifti_files
from nnunet_sparse.data.nifti_files import open_nifti


def write(file: Path, *shape: int) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)), file)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that nibabel has opened."""
    found: list[str] = []
    load = nibabel.load

    def noticed(path: Path) -> object:
        found.append(Path(path).name)
        return load(path)

    monkeypatch.setattr(nibabel, "load", noticed)
    nifti_files._opened.cache_clear()
    return found


def test_a_header_is_read_once_until_the_file_changes(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nifti_files, "_SETTLED_NS", 0)
    file = tmp_path / "a.nii"
    write(file, 3, 4, 5)
    assert open_nifti(file) is open_nifti(file)
    assert opened == ["a.nii"]
    write(file, 3, 4, 6)
    assert open_nifti(file).shape == (3, 4, 6)
    write(tmp_path / "b.nii", 1, 2, 3)
    (tmp_path / "b.nii").replace(file)
    assert open_nifti(file).shape == (1, 2, 3)
    assert opened == ["a.nii"] * 3


def test_what_was_just_written_is_read_each_time(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes at one moment have the same date, and may have the same size."""
    monkeypatch.setattr(nifti_files, "_SETTLED_NS", 10**18)
    file = tmp_path / "a.nii"
    for number in (1, 2):
        write(file, 3, 4, 5)
        open_nifti(file)
        open_nifti(file)
        assert len(opened) == 2 * number


def test_voxels_are_read_at_each_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nifti_files, "_SETTLED_NS", 0)
    file = tmp_path / "a.nii"
    write(file, 3, 4, 5)
    before = open_nifti(file)
    with file.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\7")
    assert np.asanyarray(before.dataobj)[-1, -1, -1] == 7


def test_a_missing_file_is_nibabels_to_tell(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No such file or no access"):
        open_nifti(tmp_path / "none.nii")
