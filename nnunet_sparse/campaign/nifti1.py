"""NIfTI files that ITK does not open: NIfTI-2, written as NIfTI-1, and sheared ones."""

import gzip
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.damaged_files import reading
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import first_of

logger = logging.getLogger(__name__)

_NUM_NAMED = 5
_DATA_BEGINS = 352  # header, and four bytes that say that no extension follows
_NOT_COPIED = {"sizeof_hdr", "magic", "vox_offset"}


def is_convertible(path: Path) -> bool:
    """Whether a NIfTI file has a header of version 2 that fits into version 1."""
    import nibabel

    if not isinstance(nibabel.load(path), nibabel.Nifti2Image):
        return False
    try:
        nifti1_header(path)
    except SparseError:
        return False
    return True


def nifti1_header(path: Path) -> bytes:
    """Header of version 1 that says what that of a NIfTI-2 file does.

    Positions and factors are rounded to 32 bits.

    Raises
    ------
    SparseError
        If a size or a type does not fit.
    """
    import nibabel

    with reading(f"{path} cannot be written as NIfTI-1"):
        image: Any = nibabel.load(path)
        header = image.header
        result = nibabel.Nifti1Header(endianness=header.endianness)
        for key in set(result.keys()) - _NOT_COPIED:
            if key in header:
                _copy(result, header, key, path)
        # nibabel takes slope and offset away from the header that it gives
        result["scl_slope"], result["scl_inter"] = image.dataobj.slope, image.dataobj.inter
        result["magic"], result["vox_offset"] = b"n+1", _DATA_BEGINS
        content: bytes = result.binaryblock
    return content.ljust(_DATA_BEGINS, b"\0")


def write_as_nifti1(path: Path, target: gzip.GzipFile) -> None:
    """Write a NIfTI-2 file as NIfTI-1; the voxels are stored byte by byte as they are.

    Raises
    ------
    SparseError
        As :func:`nifti1_header`.
    """
    import nibabel
    from nibabel.openers import Opener

    target.write(nifti1_header(path))
    image: Any = nibabel.load(path)
    with Opener(str(path)) as source:
        source.seek(int(image.dataobj.offset))
        shutil.copyfileobj(source, target)


def warn_of_closed(images: Sequence[Path]) -> None:
    """Tell of images that nibabel reads and ITK does not."""
    if images:
        logger.warning(
            "%d images cannot be opened by ITK-based programs (3D Slicer, ITK-SNAP), nor can their "
            "labels: %s; their axes are not at right angles (sheared), or they are NIfTI-2 of a "
            "size that NIfTI-1 does not have. Annotate them with a program that uses nibabel "
            "(napari), or resample them first",
            len(images),
            first_of(sorted(images), _NUM_NAMED),
        )


def _copy(result: Any, header: Any, key: str, path: Path) -> None:
    """Copy a field, if it fits."""
    value = np.asarray(header[key])
    result[key] = value
    if value.dtype.kind in "iu" and (np.asarray(result[key]) != value).any():
        raise SparseError(f"{path}: {key} {value.tolist()} does not fit into NIfTI-1")
