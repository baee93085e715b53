import struct
import zlib

import pytest
from nibabel.filebasedimages import ImageFileError

from nnunet_sparse.data.damaged_files import first_line, reading
from nnunet_sparse.system.errors import SparseError


def raise_while_reading(error: Exception) -> None:
    with reading("a.nii is damaged"):
        raise error


@pytest.mark.parametrize(
    "error", [zlib.error, struct.error, ImageFileError, OSError, RuntimeError, ZeroDivisionError]
)
def test_what_libraries_raise_is_told_in_one_line(error: type[Exception]) -> None:
    with pytest.raises(SparseError, match=r"^a\.nii is damaged: header$") as caught:
        raise_while_reading(error("header"))
    assert isinstance(caught.value.__cause__, error)


def test_messages_of_our_own_stay() -> None:
    with pytest.raises(SparseError, match=r"^a 2D image$"):
        raise_while_reading(SparseError("a 2D image"))


def test_mistakes_in_the_code_are_not_hidden() -> None:
    with pytest.raises(TypeError):
        raise_while_reading(TypeError())


@pytest.mark.parametrize(
    ("message", "line"),
    [("", "ValueError"), (" one \n\n two\n", "two"), ("x" * 300, "x" * 200)],
)
def test_the_last_line_gives_the_reason(message: str, line: str) -> None:
    assert first_line(ValueError(message)) == line
