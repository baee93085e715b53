"""Writing volumes as NIfTI files."""

from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_sparse.data.affines import RAS_TO_LPS, itk_affine
from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    import SimpleITK as sitk


def write_nifti(image: "sitk.Image", path: Path) -> None:
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
    import SimpleITK as sitk

    affine = RAS_TO_LPS @ itk_affine(image)
    nifti = nibabel.Nifti1Image(sitk.GetArrayViewFromImage(image).T, affine)
    nifti.header.set_xyzt_units("mm")
    nifti.set_qform(nifti.affine, code="scanner")
    nifti.set_sform(nifti.affine, code="scanner")
    try:
        nibabel.save(nifti, path)
    except OSError as error:
        raise SparseError(f"cannot write {path}: {error.strerror or error}") from error
