"""Reading the label and the images of a case, as fast and in as little memory as they are."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.label_volume import read_label_volume
from nnunet_sparse.data.damaged_files import reading
from nnunet_sparse.data.label_files import check_complete
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.errors import SparseError

_CHUNK = 2**22


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
    import nibabel

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
        target, begin = array.reshape(-1).view(np.uint8).data, 0
        with gzip.open(file) as stream:
            stream.seek(int(voxels.offset))
            while begin < len(target):
                count = stream.readinto(target[begin : begin + _CHUNK])
                if not count:
                    raise SparseError(f"{file} is truncated")
                begin += count
    return array
