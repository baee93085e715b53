"""Reading volumes, and putting a label on the voxels of its image.

Volumes are reoriented without interpolation, so that x, y and z lead to left, posterior and
superior as closely as the stored axes allow; oblique directions are kept. Slices of the array
(z, y, x) are then axial.
"""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.data.affines import itk_affine
from nnunet_sparse.data.claimed_size import check_claim
from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.geometry import MAX_SHIFT_VOXELS, geometry_of, read_geometry
from nnunet_sparse.data.itk_files import check_content, check_letters, check_size, itk_reader
from nnunet_sparse.data.label_files import check_complete, is_nifti, whole_numbers
from nnunet_sparse.data.placement import AmbiguousPlacementError, place
from nnunet_sparse.system.errors import SparseError

ORIENTATION = "LPS"
_MAX_LABEL = 255
_READER = "SimpleITKIO"


def check_file(path: Path) -> None:
    """Refuse a file that is missing, truncated or not a 3D volume, without reading its voxels.

    Of compressed files of other formats than NIfTI it is not seen whether they are truncated.

    Raises
    ------
    SparseError
        With the file's name and the reason.
    """
    if not path.is_file():
        raise SparseError(f"{path} does not exist")
    _looked_at(path)


def read_itk_volume(path: Path) -> sitk.Image:
    """Read a volume as it is stored.

    Raises
    ------
    SparseError
        As :func:`check_file`, and if compressed voxels are damaged or too few.
    """
    if not path.is_file():
        raise SparseError(f"{path} does not exist")
    reader = _looked_at(path)
    check_content(path, reader)
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise SparseError(f"{path} cannot be read: {first_line(error)}") from error


def _looked_at(path: Path) -> sitk.ImageFileReader:
    """Reader of a volume, which has read the header."""
    check_claim(path)
    check_letters(path)
    if is_nifti(path):
        check_complete(path)  # ITK reads what is missing as zeros
    reader = itk_reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise SparseError(f"{path} cannot be read: {first_line(error)}") from error
    if reader.GetDimension() != 3:
        raise SparseError(f"{path} is a {reader.GetDimension()}D image, not a volume")
    check_size(path, reader)
    return reader


def read_itk_image(path: Path) -> sitk.Image:
    """Read intensities, with one value per voxel.

    Raises
    ------
    SparseError
        As :func:`check_file`, and if there are several values per voxel.
    """
    image = read_itk_volume(path)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise SparseError(f"{path} holds several values per voxel, not the intensities of a volume")
    return plain_type(image)


def plain_type(image: sitk.Image) -> sitk.Image:
    """Integers of at most 32 bits as they are, anything else as float32."""
    dtype = sitk.GetArrayViewFromImage(image).dtype
    if dtype.kind in "iu" and dtype.itemsize <= 4:
        return image
    return sitk.Cast(image, sitk.sitkFloat32)


def to_label(image: sitk.Image, path: Path, values: frozenset[int] | None = None) -> sitk.Image:
    """Label as uint8.

    Parameters
    ----------
    image
        What the file holds.
    path
        The file, for messages.
    values
        Allowed values; None for any from 0 to 255.

    Raises
    ------
    SparseError
        If there are other values, or several per voxel.
    """
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise SparseError(f"{path} holds several values per voxel, a label has one")
    voxels = sitk.GetArrayViewFromImage(image)
    found = np.unique(voxels)
    whole, wrong = whole_numbers(found)
    for value, number, fraction in zip(found, whole, wrong, strict=True):
        allowed = 0 <= number <= _MAX_LABEL if values is None else number in values
        if fraction or not allowed:
            among = "0 to 255" if values is None else ", ".join(map(str, sorted(values)))
            raise SparseError(f"{path} holds the label value {_digits(value)}; expected {among}")
    if voxels.dtype.kind == "f":  # casting cuts fractions off
        label = sitk.GetImageFromArray(np.rint(voxels).astype(np.uint8))
        label.CopyInformation(image)
        return label
    return sitk.Cast(image, sitk.sitkUInt8)


def _digits(value: np.number) -> str:
    """A number with all digits that its type holds, whole ones without a point."""
    return str(value).removesuffix(".0")


def oriented(image: sitk.Image) -> sitk.Image:
    """The same voxels with axes that lead to left, posterior and superior."""
    return sitk.DICOMOrient(image, ORIENTATION)


def orientation_of(image: sitk.Image) -> str:
    """Where the axes x, y, z lead, as in ``LPS`` (identity direction cosines) or ``RAS``."""
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
    return str(code)


def same_voxels(one: sitk.Image, other: sitk.Image) -> bool:
    """Whether two images lie on the same voxels, to a tenth of a voxel at every corner."""
    first, second = geometry_of(one), geometry_of(other)
    return first.shape == second.shape and first.shift_voxels(second) <= MAX_SHIFT_VOXELS


def placed_like(label: sitk.Image, image: sitk.Image) -> sitk.Image:
    """The label with exactly the image's origin, spacing and direction."""
    result = sitk.Image(label)
    result.CopyInformation(image)
    return result


def in_order_of(
    label: sitk.Image, file: Path, image: sitk.Image, image_file: Path
) -> sitk.Image | None:
    """Label with its voxels in the order of the image's, and the image's geometry.

    Parameters
    ----------
    label, image
        As they are stored.
    file, image_file
        Where they are from; a label that lies on the image by ITK's or nibabel's reading of their
        headers is taken.

    Returns
    -------
    sitk.Image or None
        None if it lies elsewhere, or covers less or more.

    Raises
    ------
    SparseError
        If it cannot be told which of two readings is right.
    """
    geometry, wanted = (read_geometry(path, _READER) for path in (file, image_file))
    try:
        placement = place(geometry, wanted, lambda p: p.covers(wanted))
    except AmbiguousPlacementError as error:
        raise SparseError(
            f"{file} may lie elsewhere than its image {image_file}: {error}"
        ) from error
    except SparseError:
        return None
    if not placement.covers(wanted):
        return None
    voxels = placement.turn(sitk.GetArrayViewFromImage(label))
    return placed_like(sitk.GetImageFromArray(np.ascontiguousarray(voxels)), image)


def by_position(label: sitk.Image, image: sitk.Image, path: Path) -> tuple[sitk.Image, str]:
    """Label on the voxels of its image, by what both headers say.

    Parameters
    ----------
    label, image
        Reoriented (:func:`oriented`).
    path
        File of the label, for messages.

    Returns
    -------
    tuple of image and str
        The label, and ``same`` or ``resampled`` (each voxel takes the nearest one's value).

    Raises
    ------
    SparseError
        If a foreground voxel lies outside the image.
    """
    if same_voxels(label, image):
        return placed_like(label, image), "same"
    voxels = np.argwhere(sitk.GetArrayViewFromImage(label) != 0)[:, ::-1]  # x, y, z
    label_affine, image_affine = itk_affine(label), itk_affine(image)
    positions = voxels @ label_affine[:3, :3].T + label_affine[:3, 3]
    to_index = np.linalg.inv(image_affine[:3, :3])
    nearest = np.floor((positions - image_affine[:3, 3]) @ to_index.T + 0.5)
    outside = ((nearest < 0) | (nearest >= image.GetSize())).any(axis=1)
    if outside.any():
        raise SparseError(
            f"{path}: {outside.sum()} of {len(voxels)} foreground voxels lie outside the image; "
            "is it the label of another volume?"
        )
    identity = sitk.Transform(3, sitk.sitkIdentity)
    return sitk.Resample(label, image, identity, sitk.sitkNearestNeighbor, 0), "resampled"
