"""Labels of whole volumes, ``CASE.nii.gz`` and the like, on the voxels of their images."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.same_grid import whole_of
from nnunet_sparse.campaign.stored_pictures import read_tiff_stack
from nnunet_sparse.data.geometry import Geometry, geometry_of, read_geometry
from nnunet_sparse.data.label_files import (
    check_complete,
    is_nifti,
    keeps_header,
    read_label,
    to_integers,
)
from nnunet_sparse.data.volume_endings import ending_of, is_tiff
from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    import SimpleITK as sitk


def read_label_volume(case: AnnotatedCase, file: Path) -> np.ndarray:
    """Read a label that covers the whole image.

    Returns
    -------
    np.ndarray, shape (z, y, x), unsigned integers
        On the voxels of the image.

    Raises
    ------
    SparseError
        If the file cannot be read, lies elsewhere than its image, or holds unknown values.
    """
    if is_tiff(file):
        return _read_tiff_label(case, file)
    array, geometry = read_volume_file(file, case.reader)
    if sorted(array.shape) != sorted(case.shape):
        raise SparseError(
            f"{file} has shape {array.shape} (z, y, x), its image {case.image} {case.shape}"
        )
    case.check_values(array, file)
    try:
        label = whole_of(array, geometry, case.geometry)
    except SparseError as error:
        has_none = ending_of(file) in {".gipl", ".gipl.gz"}
        hint = "; GIPL keeps no directions: save it as NIfTI or NRRD" if has_none else ""
        raise case.elsewhere(file, f"{error}{hint}") from error
    return np.ascontiguousarray(label, np.min_scalar_type(case.ignore))


def _read_tiff_label(case: AnnotatedCase, file: Path) -> np.ndarray:
    """Read a stack, which has no position but its shape."""
    stack = read_tiff_stack(file)
    shape, wanted = ([n for n in s if n != 1] for s in (stack.shape, case.shape))
    if shape != wanted:
        turned = "; it has the axes x, y, z: save its transpose" if shape[::-1] == wanted else ""
        raise SparseError(
            f"{file} has shape {stack.shape}, its image {case.image} {case.shape} (z, y, x){turned}"
        )
    label = case.without_white(stack.reshape(case.shape))
    case.check_values(label, file)
    return np.ascontiguousarray(label, np.min_scalar_type(case.ignore))


def is_untouched(case: AnnotatedCase, file: Path) -> bool:
    """Whether a label is exactly as prefilled, by the last round or an earlier one.

    False if it cannot be read.
    """
    geometry = case.geometry
    try:
        array, placed = read_volume_file(file, case.reader)
        label = whole_of(array, placed, geometry)
    except SparseError:
        return False
    rounds = case.campaign.rounds
    earlier = (
        replace(case, campaign=replace(case.campaign, rounds=rounds[: n + 1]))
        for n in range(len(rounds))
    )
    return any(np.array_equal(label, before.prefilled()) for before in earlier)


def read_volume_file(file: Path, reader: str) -> tuple[np.ndarray, Geometry]:
    """Read whole numbers, (z, y, x), and where they lie.

    Parameters
    ----------
    file
        A file with one of :data:`~nnunet_sparse.data.volume_endings.PLACED_ENDINGS`, in small or
        capital letters.
    reader
        Class name of nnU-Net's reader, for NIfTI.

    Raises
    ------
    SparseError
        If the file is damaged, not a volume, or holds several values or fractions.
    """
    from nnunet_sparse.data.itk_files import check_in_one_file, check_letters
    from nnunet_sparse.data.itk_volumes import read_itk_volume

    check_letters(file)
    if is_nifti(file):
        check_complete(file)
        return _read_nifti(file, reader)
    check_in_one_file(file)
    image = read_itk_volume(file)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise SparseError(f"{file} holds several values per voxel, a label has one")
    return to_integers(voxels_of(image), file), geometry_of(image)


def voxel_files(file: Path) -> tuple[Path, ...]:
    """Find the separate file with the voxels that a header names; most volumes have none."""
    from nnunet_sparse.data.itk_files import voxels_name

    try:
        name = voxels_name(file)
    except SparseError:  # is told where it is read
        return ()
    return (file.parent / name,) if name and (file.parent / name).is_file() else ()


def voxels_of(image: "sitk.Image") -> np.ndarray:
    """Voxels, (z, y, x), with a last axis if there are several values per voxel."""
    import SimpleITK as sitk

    return np.asarray(sitk.GetArrayFromImage(image))


def _read_nifti(file: Path, reader: str) -> tuple[np.ndarray, Geometry]:
    """Read what nibabel does, as nnU-Net's reader would orient it.

    That is more than ITK opens, NIfTI-2 for one.
    """
    label = read_label(file, reader)
    try:
        return label, read_geometry(file, reader)
    except SparseError:
        if not keeps_header(file, reader):
            raise
        return label, read_geometry(file, "NibabelIO")
