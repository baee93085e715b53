"""Writing volumes as NIfTI files."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.data.geometry import RAS_TO_LPS
from nnunet_sparse.system.errors import SparseError


def write_nifti(image: sitk.Image, path: Path) -> None:
    """Write a volume with nibabel: on a full disk ITK writes half a file and says so on its own.

    Parameters
    ----------
    image
        Scalar volume; its type, origin, spacing and direction are kept.
    path
        File ending in ``.nii`` or ``.nii.gz``; equal volumes give equal bytes.

    Raises
    ------
    SparseError
        If the file cannot be written.
    """
    import nibabel

    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    nifti = nibabel.Nifti1Image(sitk.GetArrayViewFromImage(image).T, RAS_TO_LPS @ affine)
    nifti.header.set_xyzt_units("mm")
    nifti.set_qform(nifti.affine, code="scanner")
    nifti.set_sform(nifti.affine, code="scanner")
    try:
        nibabel.save(nifti, path)
    except OSError as error:
        raise SparseError(f"cannot write {path}: {error.strerror or error}") from error
