"""Labels of whole volumes, ``CASE.nii.gz`` and the like, on the voxels of their images."""

import gzip
import io
import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.same_grid import whole_of
from nnunet_sparse.campaign.stored_pictures import TIFF_ENDINGS, read_tiff_stack
from nnunet_sparse.data.claimed_size import check_claim
from nnunet_sparse.data.damaged_files import first_line, reading
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

_IMAGE_IO = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
    ".gipl": "GiplImageIO",
    ".gipl.gz": "GiplImageIO",
}
VOLUME_ENDINGS = (".nii.gz", ".nii", *_IMAGE_IO, *TIFF_ENDINGS)
_GIPL_HEADER = 256
_VOXELS_OF_META_IMAGE = re.compile(r"ElementDataFile\s*[=:]\s*(.*?)\s*")
_VOXELS_OF_NRRD = re.compile(r"data ?file:\s*(.*?)\s*", re.IGNORECASE)
_VOXELS = {
    ".mha": _VOXELS_OF_META_IMAGE,
    ".mhd": _VOXELS_OF_META_IMAGE,
    ".nrrd": _VOXELS_OF_NRRD,
    ".nhdr": _VOXELS_OF_NRRD,
}


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
    if file.suffix.lower() in TIFF_ENDINGS:
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
        raise case.elsewhere(file, str(error)) from error
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
        A file with one of :data:`VOLUME_ENDINGS` but TIFF, in small or capital letters.
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
    if _ending(file).startswith(".gipl") and _size(file) < _GIPL_HEADER + array.nbytes:
        raise SparseError(f"{file} is truncated")  # ITK reads it all the same
    return to_integers(array, file), geometry_of(image)


def voxel_files(file: Path) -> tuple[Path, ...]:
    """Find the separate file with the voxels that a header names; most volumes have none."""
    try:
        name = _name_of_voxels(file)
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


def _name_of_voxels(file: Path) -> str:
    """File of voxels that a header names, ``LOCAL`` for the same file; empty if it names none."""
    pattern = _VOXELS.get(_ending(file))
    if pattern is None:
        return ""
    with (
        reading(f"{file} cannot be read"),
        file.open(encoding="utf-8", errors="surrogateescape") as stream,
    ):
        # a blank line ends the header of a NRRD file
        is_nrrd = pattern is _VOXELS_OF_NRRD
        header = itertools.takewhile(str.strip, stream) if is_nrrd else stream
        found = (pattern.fullmatch(line) for line in header)
        return next((match[1] for match in found if match), "")


def _ending(file: Path) -> str:
    """Ending in small letters, one of :data:`VOLUME_ENDINGS`."""
    return next((ending for ending in VOLUME_ENDINGS if file.name.lower().endswith(ending)), "")


def _size(file: Path) -> int:
    """Bytes of a file, of a compressed one those of its content."""
    if file.suffix.lower() != ".gz":
        return file.stat().st_size
    with reading(f"{file} cannot be read"), gzip.open(file) as stream:
        return stream.seek(0, io.SEEK_END)


def _check_letters(file: Path) -> None:
    """Neither ITK nor nibabel opens files with endings such as ``.Nii.gz``, or ``.GIPL.GZ``."""
    ending = "".join(file.suffixes[-2:]) if file.suffix.lower() == ".gz" else file.suffix
    known = {ending.lower(), ending.upper()} if is_nifti(file) else {ending.lower()}
    if ending not in known:
        right = f"{file.name.removesuffix(ending)}{ending.lower()}"
        raise SparseError(f"{file} cannot be read under this name; call it {right}")


def _read_image(file: Path) -> "sitk.Image":
    from nnunet_sparse.data.itk_volumes import read_itk_volume

    ending = _ending(file)
    if ending == ".gipl.gz":
        _check_letters(file)
    if file.name.endswith(ending):
        return read_itk_volume(file)
    import SimpleITK as sitk

    check_claim(file)
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
