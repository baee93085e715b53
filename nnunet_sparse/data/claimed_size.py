"""Refusing image files before a library opens them that would take all memory, or end the process.

A header may claim any number of voxels, and libraries set memory aside for all of them before they
find that the file holds none. How much a compressed file can hold is bounded: the method of gzip
writes at least two bits for 258 bytes.
"""

import contextlib
import math
import zlib
from pathlib import Path

from nnunet_sparse.data.damaged_files import damaged_file_errors
from nnunet_sparse.data.itk_files import (
    OF_GZIP,
    check_header,
    held_bytes,
    itk_reader,
    num_bytes,
)
from nnunet_sparse.data.nifti_files import open_nifti
from nnunet_sparse.data.volume_endings import IMAGE_IO, NIFTI_ENDINGS, ending_of, is_tiff
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import is_text

_OF_OTHERS = 4096  # LZW, PackBits, JPEG
_MOST_INFLATED = 2**30  # a CT of 2000 slices of 512 x 512
_AT_ONCE = 2**20
_FLAT = (".png", ".bmp", ".jpg", ".jpeg")


def check_claim(path: Path) -> None:
    """Refuse a file whose header claims more voxels than it can hold, or whose name is no text.

    Files that are missing or damaged otherwise are left to those who read them.

    Raises
    ------
    SparseError
        Naming the file.
    """
    check_text(path)
    name = path.name.lower()
    if not path.is_file():
        return
    if ending_of(path) in IMAGE_IO:
        check_header(path)
    problem = ""
    with contextlib.suppress(*damaged_file_errors(), TypeError):  # left to those who read it
        claimed, held = _claimed_and_held(path, name)
        if claimed > held:
            problem = f"its {path.stat().st_size} bytes cannot hold the {claimed} of its header"
    if problem:
        raise SparseError(f"{path} is damaged: {problem}")


def _claimed_and_held(path: Path, name: str) -> tuple[float, float]:
    """Bytes of voxels that the header claims, and those that the file can hold."""
    size = path.stat().st_size
    if name.endswith(NIFTI_ENDINGS):
        return _claim_of_nifti(path), OF_GZIP * size
    if is_tiff(path):
        return _claim_of_tiff(path), _OF_OTHERS * size
    if name.endswith(_FLAT):
        return _claim_of_itk(path), _OF_OTHERS * size
    if ending_of(path) in IMAGE_IO:
        return _claim_of_itk(path), held_bytes(path)
    return 0, math.inf


def check_text(path: Path) -> None:
    """Refuse a path that is no UTF-8, with which ITK ends the process.

    Raises
    ------
    SparseError
        Naming the file.
    """
    if not is_text(str(path)):
        raise SparseError(f"{str(path)!r} is no name in UTF-8; rename it")


def check_inflated(path: Path, start: int) -> None:
    """Refuse a file whose deflated part is large: libraries inflate all of it before they look.

    Parameters
    ----------
    path
        The file.
    start
        Where the deflated part begins.

    Raises
    ------
    SparseError
        If it holds more than 1 GiB.
    zlib.error
        If it is damaged.
    """
    inflated = 0
    with path.open("rb") as file:
        file.seek(start)
        part = zlib.decompressobj(-zlib.MAX_WBITS)
        while (data := part.unconsumed_tail or file.read(_AT_ONCE)) and not part.eof:
            inflated += len(part.decompress(data, _AT_ONCE))
            if inflated > _MOST_INFLATED:
                raise SparseError(
                    f"{path} holds more than {_MOST_INFLATED} bytes in {path.stat().st_size}; save "
                    "it without deflate"
                )


def _claim_of_nifti(path: Path) -> int:
    image = open_nifti(path)
    voxels = math.prod(int(n) for n in image.shape)
    return int(image.dataobj.offset) + int(image.get_data_dtype().itemsize) * voxels


def _claim_of_tiff(path: Path) -> int:
    import tifffile

    with tifffile.TiffFile(path) as file:
        return max(int(math.prod(s.shape)) * int(s.dtype.itemsize) for s in file.series)


def _claim_of_itk(path: Path) -> int:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = itk_reader(path)
    reader.ReadImageInformation()
    return num_bytes(reader)
