"""The positions that programs take from one NIfTI header, which may hold two that disagree.

A header has a *qform* (turn, voxel sizes, shift) and an *sform* (any affine), each with a code that
is 0 where it says nothing. Programs differ in which one they read:

``itk``
    ITK (nnU-Net's SimpleITKIO, 3D Slicer, ITK-SNAP): by the codes one or the other; sizes always
    from ``pixdim``; without codes both directions and origin are its own.
``nibabel``
    nibabel, SPM, FSL, napari: the sform, else the qform, else voxel sizes about the centre.
``qform``
    AFNI and older versions of ITK: the qform wherever it has a code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.affines import RAS_TO_LPS, is_valid, itk_affine, reverse_columns
from nnunet_sparse.data.damaged_files import damaged_file_errors
from nnunet_sparse.data.nifti_files import open_nifti

ITK, NIBABEL, QFORM = "itk", "nibabel", "qform"
READINGS = (ITK, NIBABEL, QFORM)
PROGRAMS = {
    ITK: "ITK (3D Slicer, ITK-SNAP, nnU-Net)",
    NIBABEL: "nibabel (SPM, FSL, napari)",
    QFORM: "programs that prefer the qform (AFNI, older ITK)",
}
_MM_AND_SECONDS = 10  # xyzt_units, as ITK writes it
_SCANNER = 1
_OF_ITK = {1, 2}  # sform_code: of earlier versions, too


@dataclass(frozen=True)
class NiftiReadings:
    """What programs may take for the position of a file.

    Attributes
    ----------
    affines
        For each of :data:`READINGS` that gives a valid one, the (4, 4) matrix from array indices
        (z, y, x) to LPS positions in mm.
        Empty for other formats.
    written_by
        Readings that the program may have that wrote the file; other formats come from programs
        that use ITK, or agree with it.
    """

    affines: Mapping[str, np.ndarray] = field(default_factory=dict)
    written_by: frozenset[str] = frozenset({ITK, QFORM})


def read_readings(path: Path, by_itk: np.ndarray | None = None) -> NiftiReadings:
    """Read a NIfTI header in every way.

    Parameters
    ----------
    path
        The file.
    by_itk
        (4, 4) matrix from array indices (z, y, x) to LPS positions in mm as ITK has read it; None
        to have ITK read it.

    Raises
    ------
    Exception
        One of :func:`damaged_file_errors`, if nibabel cannot read it.
    """
    image = open_nifti(path)
    found = {
        ITK: _read_by_itk(path) if by_itk is None else reverse_columns(by_itk),
        NIBABEL: RAS_TO_LPS @ image.affine,
        QFORM: _lps(image.get_qform(coded=True)[0]),
    }
    affines = {
        name: reverse_columns(affine)
        for name, affine in found.items()
        if affine is not None and is_valid(affine)
    }
    return NiftiReadings(affines, _writers(image.header))


def _lps(affine: np.ndarray | None) -> np.ndarray | None:
    return None if affine is None else np.asarray(RAS_TO_LPS @ affine)


def _read_by_itk(path: Path) -> np.ndarray | None:
    """Affine of ITK; None where it refuses the file."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except damaged_file_errors():
        return None
    return itk_affine(reader) if reader.GetDimension() >= 3 else None


def _writers(header: Any) -> frozenset[str]:
    """Readings of the program that wrote a header: ITK is told by what it always writes."""
    q_code, s_code = int(header["qform_code"]), int(header["sform_code"])
    if q_code == 0:
        return frozenset({NIBABEL})  # ITK gives every file a qform
    by_itk = (
        (q_code == _SCANNER and s_code in _OF_ITK)
        and int(header["xyzt_units"]) == _MM_AND_SECONDS
        and header["regular"] == b"r"
        and not header["pixdim"][4:].any()
    )
    same = np.allclose(header.get_sform(), header.get_qform(), atol=1e-3)
    return frozenset({ITK, QFORM}) if by_itk and same else frozenset({NIBABEL, QFORM})
