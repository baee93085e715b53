"""Reading the label and the images of a case, as fast and in as little memory as they are."""

import zlib
from pathlib import Path
from typing import Any

import nibabel  # not in the functions: two threads that import it at once find half of it
import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.label_volume import read_label_volume
from nnunet_sparse.data.damaged_files import reading
from nnunet_sparse.data.label_files import check_complete
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.errors import SparseError

_PACKED, _PIECE = 2**18, 2**22  # bytes that are read, and made of them, at once
_GZIP = 31  # tells zlib which header and check the file has


def read_saved(campaign: Campaign, case_id: str) -> tuple[np.ndarray, str | None]:
    """Read the label file of a case.

    Returns
    -------
    label : np.ndarray, shape (z, y, x), unsigned integers
        On the voxels of the image; as prefilled where there is no file.
    digest : str or None
        Of the file; None if there is none.

    Raises
    ------
    SparseError
        If it cannot be read, or lies elsewhere than its image.
    """
    case, file = AnnotatedCase(campaign, case_id), campaign.label_file(case_id)
    if not file.exists():
        return case.prefilled(), None
    digest = None
    while digest != (now := file_digest(file)):  # another program may write it at this moment
        digest = now
        label = read_label_volume(case, file)
    return (label if label.flags.writeable else label.copy()), digest


def read_voxels(file: Path) -> np.ndarray:
    """Intensities of a channel, (z, y, x), in the type of the file.

    Raises
    ------
    SparseError
        If it cannot be read.
    """
    check_complete(file)
    with reading(f"{file} cannot be read as an image"):
        image: Any = nibabel.load(file)
        if any(n != 1 for n in image.shape[3:]):
            raise SparseError(f"{file} has shape {image.shape}, not that of one volume")
        voxels = image.dataobj
        if voxels.slope != 1 or voxels.inter != 0:
            return np.asarray(voxels.get_scaled(np.float32).reshape(image.shape[:3]).T)
        # nibabel would hold the voxels twice while it reads them
        array = np.empty(image.shape[:3][::-1], image.get_data_dtype())
        _inflate(file, int(voxels.offset), array.reshape(-1).view(np.uint8).data)
    return array


def _inflate(file: Path, offset: int, target: memoryview) -> None:
    """Fill memory with what a compressed file holds from a place on.

    In large pieces: Python's gzip takes small ones, and waits for other threads at each of them.
    """
    begin = -offset
    with file.open("rb") as stream:
        inflater, packed, piece = zlib.decompressobj(_GZIP), b"", b""
        while begin < len(target) or not inflater.eof:
            packed = packed or stream.read(_PACKED)
            if not packed and len(piece) < _PIECE:
                raise SparseError(f"{file} is truncated")
            if inflater.eof:  # files of several parts
                inflater = zlib.decompressobj(_GZIP)
            piece = inflater.decompress(packed, _PIECE)
            packed = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            first = max(0, -begin)
            wanted = memoryview(piece)[first : first + len(target) - max(0, begin)]
            target[max(0, begin) : max(0, begin) + len(wanted)] = wanted
            begin += len(piece)
