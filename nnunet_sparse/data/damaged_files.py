"""What libraries raise when an image file is damaged, and how it is told to the user."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from nnunet_sparse.system.errors import SparseError

UNREADABLE_ARRAYS = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy raises for an ``.npz`` file that is missing or damaged."""


@contextmanager
def reading(problem: str) -> Iterator[None]:
    """Say in one line what is wrong with a file that a library fails to read.

    Parameters
    ----------
    problem
        Begins the message, as in ``a.nii cannot be read as a label``; the library's reason follows.

    Raises
    ------
    SparseError
        For every error in :func:`damaged_file_errors`; what is a ``SparseError`` already stays.
    """
    try:
        yield
    except SparseError:
        raise
    except damaged_file_errors() as error:
        raise SparseError(f"{problem}: {first_line(error)}") from error


def damaged_file_errors() -> tuple[type[Exception], ...]:
    """Errors by which SimpleITK, nibabel, tifffile, Pillow and nnU-Net refuse a file."""
    from nibabel.filebasedimages import ImageFileError
    from nibabel.orientations import OrientationError
    from nibabel.spatialimages import HeaderDataError, HeaderTypeError, ImageDataError
    from nibabel.wrapstruct import WrapStructError

    return (
        ArithmeticError,  # sizes of 0, or beyond all bounds
        AssertionError,  # nnU-Net: channels of several shapes
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        RuntimeError,  # SimpleITK
        SyntaxError,  # Pillow
        ValueError,
        struct.error,
        zlib.error,
        HeaderDataError,
        HeaderTypeError,
        ImageDataError,
        ImageFileError,
        OrientationError,
        WrapStructError,
    )


def first_line(error: BaseException) -> str:
    """Say what went wrong in at most one line, for messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # SimpleITK's first line names its source file, the reason comes last
    return (lines[-1] if lines else type(error).__name__)[:200]
