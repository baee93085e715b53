"""Masks of single slices: pictures, or volumes of one slice, named ``CASE_slice012.png``.

A mask is the annotation of its whole slice; slices that were asked for and have no mask are
background, as prefilled.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.label_volume import read_volume_file
from nnunet_sparse.campaign.stored_pictures import PICTURE_ENDINGS, read_picture
from nnunet_sparse.system.errors import SparseError


def read_slice_masks(case: AnnotatedCase, masks: Mapping[int, Path]) -> np.ndarray:
    """Read the masks of a case.

    Parameters
    ----------
    case
        The case.
    masks
        File of each slice, counted from 0 along the campaign's axis.

    Returns
    -------
    np.ndarray, shape (z, y, x), unsigned integers
        On the voxels of the image.

    Raises
    ------
    SparseError
        If a file cannot be read, is no mask of its slice, or holds unknown values.
    """
    label = case.blank()
    slices = np.moveaxis(label, case.axis, 0)
    for number, file in masks.items():
        if number >= len(slices):
            raise SparseError(f"{file}: the slices of {case.image} are 0 to {len(slices) - 1}")
        if file.suffix.lower() in PICTURE_ENDINGS:
            mask = _read_picture(case, file)
        else:
            mask = _read_single_slice(case, file, number)
        mask = case.without_white(mask)
        case.check_values(mask, file)
        slices[number] = mask
    return label


def _read_single_slice(case: AnnotatedCase, file: Path, number: int) -> np.ndarray:
    """Read a volume of one slice, whose header must place it on the slice that its name says."""
    array, geometry = read_volume_file(file, case.reader)
    if min(array.shape) != 1:
        raise SparseError(f"{file} has shape {array.shape} (z, y, x), expected a single slice")
    region, part = case.place(array, geometry, file)
    wanted = [slice(0, n) for n in case.shape]
    wanted[case.axis] = slice(number, number + 1)
    if part.size and region[case.axis] != wanted[case.axis]:
        place = f"slice {region[case.axis].start} of axis {case.axis}"
        raise SparseError(f"{file}: the header says that it is {place}, the name {number}")
    if list(region) != wanted:
        raise case.elsewhere(file, f"it covers {part.size} voxels of slice {number}")
    return part.squeeze(case.axis)


def _read_picture(case: AnnotatedCase, file: Path) -> np.ndarray:
    """Numbers of a picture as large as a slice, (rows, columns)."""
    pixels = read_picture(file)
    rows, columns = (n for axis, n in enumerate(case.shape) if axis != case.axis)
    if pixels.shape != (rows, columns):
        turned = "; it is transposed" if pixels.shape == (columns, rows) else ""
        raise SparseError(
            f"{file} has {pixels.shape[0]} rows and {pixels.shape[1]} columns, a slice of "
            f"{case.image} has {rows} and {columns}{turned}"
        )
    return pixels
