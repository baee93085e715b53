import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import blosc2
import numpy as np
import pytest

from nnunet_sparse.data.compressed_array import read_array, write_array

PATCH = (8, 8, 8)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8])
def test_what_is_written_is_read(tmp_path: Path, dtype: type) -> None:
    array = np.random.default_rng(0).integers(0, 99, (2, 9, 10, 11)).astype(dtype)
    file = tmp_path / "new" / "a.b2nd"
    write_array(file, array[:, ::-1], PATCH)
    result = read_array(file)
    np.testing.assert_array_equal(result, array[:, ::-1])
    assert result.dtype == dtype
    mapped = blosc2.open(str(file), mode="r", mmap_mode="r")  # as nnU-Net opens it
    np.testing.assert_array_equal(mapped[0, 3], array[:, ::-1][0, 3])


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_finds_no_room_is_an_error_of_the_file_system(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 32)).astype(np.float32)
    with _files_of_at_most(4096), pytest.raises(OSError, match="File too large"):
        write_array(tmp_path / "a.b2nd", image, PATCH)


def test_a_full_disk_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"case_0\.b2nd"):
        write_array(tmp_path / "case_0.b2nd", np.zeros((1, 4, 4, 4), np.uint8), (4, 4, 4))
