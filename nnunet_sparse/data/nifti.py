"""Writing volumes as NIfTI files."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_sparse.data.affines import RAS_TO_LPS, reverse_columns
from nnunet_sparse.data.geometry import Geometry, geometry_of
from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    import SimpleITK as sitk
    from nibabel import Nifti1Header

_DATA_BEGINS = 352  # header, and four bytes that say that no extension follows


def write_nifti(image: "sitk.Image", path: Path) -> None:
    """Write a volume with nibabel: on a full disk ITK writes half a file and says so on its own.

    Parameters
    ----------
    image
        Scalar volume; its type, origin, spacing and direction are kept, also where axes are not at
        right angles, which ITK does not open.
    path
        File ending in ``.nii`` or ``.nii.gz``; equal volumes give equal bytes.

    Raises
    ------
    SparseError
        If the file cannot be written.
    """
    import nibabel
    import SimpleITK as sitk

    voxels = sitk.GetArrayViewFromImage(image).T
    affine, header = _place(geometry_of(image))
    header.set_data_dtype(voxels.dtype)
    nifti = nibabel.Nifti1Image(voxels, affine, header)
    try:
        nibabel.save(nifti, path)
    except OSError as error:
        raise SparseError(f"cannot write {path}: {error.strerror or error}") from error


def nifti_header(geometry: Geometry) -> bytes:
    """Header of the file that :func:`write_nifti` would write, for bytes as voxels."""
    _, header = _place(geometry)
    header.set_data_dtype(np.uint8)
    header.set_data_shape(geometry.shape[::-1])
    header["magic"], header["vox_offset"] = b"n+1", _DATA_BEGINS
    return bytes(header.binaryblock).ljust(_DATA_BEGINS, b"\0")


def _place(geometry: Geometry) -> "tuple[np.ndarray, Nifti1Header]":
    """Affine of nibabel, and a header that holds it."""
    import nibabel

    assert geometry.affine is not None, "volumes of ITK have a place"
    affine = RAS_TO_LPS @ reverse_columns(geometry.affine)
    header = nibabel.Nifti1Header()
    header.set_data_shape(geometry.shape[::-1])
    header.set_xyzt_units("mm")
    header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    header.set_sform(affine, code="scanner")
    if not geometry.is_sheared:  # a qform has right angles, and would be another place
        header.set_qform(affine, code="scanner")
    return affine, header
