"""Reading images as nnU-Net does, and noticing what its readers do not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnunet_sparse.data.claimed_size import check_claim
from nnunet_sparse.data.damaged_files import reading
from nnunet_sparse.data.flat_pictures import check_readable
from nnunet_sparse.data.itk_files import check_whole
from nnunet_sparse.data.label_files import (
    IMAGE_READER,
    check_complete,
    find_reader,
    is_nifti,
    spacing_file,
)
from nnunet_sparse.data.volume_endings import is_tiff


def read_image(images: tuple[Path, ...], reader: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the channels of a volume.

    Parameters
    ----------
    images
        Files of the volume, one per channel or one with all.
    reader
        Class name of nnU-Net's reader.

    Returns
    -------
    volume : np.ndarray, shape (channel, z, y, x), float32
        Intensities.
    spacing : np.ndarray, shape (3,)
        Voxel sizes in mm, along z, y and x.

    Raises
    ------
    SparseError
        If the files cannot be read, hold several values that nnU-Net does not read, or are
        damaged or truncated, of which SimpleITK would read a part.
    """
    for file in images:
        check_claim(file)
        if file.is_file() and is_nifti(file):
            check_complete(file)
        elif file.is_file():
            check_whole(file)
        if reader == IMAGE_READER and file.is_file():
            check_readable(file)
    with reading(f"nnU-Net cannot read {', '.join(map(str, images))}"):
        volume, properties = find_reader(reader)().read_images([str(file) for file in images])
    return np.asarray(volume, np.float32), np.asarray(properties["spacing"], float)


def image_files(images: Sequence[Path]) -> list[Path]:
    """Files that make the image of a volume: its channels, and the spacing of TIFF files."""
    beside = (spacing_file(image) for image in images if is_tiff(image))
    return [*images, *dict.fromkeys(file for file in beside if file.is_file())]
