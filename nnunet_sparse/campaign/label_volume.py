"""Labels of whole volumes, ``CASE.nii.gz`` and the like, on the voxels of their images."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.same_grid import whole_of
from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.geometry import Geometry, geometry_of, read_geometry
from nnunet_sparse.data.label_files import (
    check_complete,
    is_nifti,
    keeps_header,
    read_label,
    to_integers,
)
from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    import SimpleITK as sitk

VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".gipl")
_IMAGE_IO = {
    ".nrrd": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
    ".gipl": "GiplImageIO",
}
_GIPL_HEADER = 256
_META_IMAGE = (".mha", ".mhd")
_VOXELS = re.compile(r"ElementDataFile\s*[=:]\s*(.*?)\s*")


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
    array, geometry = read_volume_file(file, case.reader)
    if sorted(array.shape) != sorted(case.shape):
        raise SparseError(
            f"{file} has shape {array.shape} (z, y, x), its image {case.image} {case.shape}"
        )
    case.check_values(array, file)
    try:
        label = whole_of(array, geometry, case.geometry)
    except SparseError as error:
        raise case.elsewhere(file, str(error)) from error
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
        A file with one of :data:`VOLUME_ENDINGS`, in small or capital letters.
    reader
        Class name of nnU-Net's reader, for NIfTI.

    Raises
    ------
    SparseError
        If the file is damaged, not a volume, or holds several values or fractions.
    """
    if is_nifti(file):
        _check_letters(file)
        check_complete(file)
        return _read_nifti(file, reader)
    name = _name_of_voxels(file)
    if name.startswith("LIST") or "%" in name:
        raise SparseError(f"{file} keeps its voxels in several files; save them in one")
    image = _read_image(file)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise SparseError(f"{file} holds several values per voxel, a label has one")
    array = voxels_of(image)
    if file.suffix.lower() == ".gipl" and file.stat().st_size < _GIPL_HEADER + array.nbytes:
        raise SparseError(f"{file} is truncated")  # ITK reads it all the same
    return to_integers(array, file), geometry_of(image)


def voxel_files(file: Path) -> tuple[Path, ...]:
    """Find the separate file with the voxels of a ``.mhd``; other formats have none."""
    name = _name_of_voxels(file)
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


def _name_of_voxels(file: Path) -> str:
    """File of voxels that the header of a MetaImage names, ``LOCAL`` for the same file.

    Empty for other formats.
    """
    if file.suffix.lower() not in _META_IMAGE:
        return ""
    with file.open(encoding="utf-8", errors="surrogateescape") as stream:
        found = (_VOXELS.fullmatch(line) for line in stream)
        return next((match[1] for match in found if match), "")


def _check_letters(file: Path) -> None:
    """Neither ITK nor nibabel opens NIfTI files with endings such as ``.Nii.gz``."""
    ending = "".join(file.suffixes[-2:]) if file.suffix.lower() == ".gz" else file.suffix
    if ending not in {ending.lower(), ending.upper()}:
        right = f"{file.name.removesuffix(ending)}{ending.lower()}"
        raise SparseError(f"{file} cannot be read under this name; call it {right}")


def _read_image(file: Path) -> "sitk.Image":
    from nnunet_sparse.data.itk_volumes import read_itk_volume

    ending = file.suffix.lower()
    if file.suffix == ending:
        return read_itk_volume(file)
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO(_IMAGE_IO[ending])  # ITK does not know all endings in capital letters
    reader.SetFileName(str(file))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise SparseError(f"{file} cannot be read: {first_line(error)}") from error
    if image.GetDimension() != 3:
        raise SparseError(f"{file} is a {image.GetDimension()}D image, not a volume")
    return image
