"""Images of a campaign: linked where they are compressed NIfTI files, else converted."""

import gzip
import logging
import math
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.find_volumes import is_image
from nnunet_sparse.campaign.nifti1 import is_convertible, nifti1_header, write_as_nifti1
from nnunet_sparse.data.damaged_files import first_line, reading
from nnunet_sparse.data.dicom_series import read_dicom, series_geometry
from nnunet_sparse.data.geometry import Geometry, read_geometry, read_spacing
from nnunet_sparse.data.itk_files import check_letters
from nnunet_sparse.data.itk_volumes import check_file, plain_type, read_itk_image
from nnunet_sparse.data.label_files import TIFF_READER, check_complete, is_nifti, spacing_file
from nnunet_sparse.data.nifti import nifti_header, write_nifti
from nnunet_sparse.data.volume_endings import is_tiff
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.links import link_file

logger = logging.getLogger(__name__)

_LEVEL = 6
_ITK, _NIBABEL = "SimpleITKIO", "NibabelIO"


def look_at(source: Path) -> tuple[Geometry, str]:
    """Read from its header where the voxels of one channel lie; voxels are not read.

    Parameters
    ----------
    source
        File, or folder of a DICOM series, or one of the series' files.

    Returns
    -------
    geometry : Geometry
        That of the image which :func:`bring_image` makes of it.
    reader : str
        Class name of nnU-Net's reader that reads that image.

    Raises
    ------
    SparseError
        If the source is missing, damaged, incomplete, or not one volume with a number per voxel.
    """
    if not source.exists():
        raise SparseError(_missing(source))
    if _is_dicom(source):
        return series_geometry(source), _ITK
    check_letters(source)
    if is_nifti(source):
        return _nifti_geometry(source)
    if is_tiff(source):
        shape = read_geometry(source, TIFF_READER).shape
        z, y, x = _tiff_spacing(source)
        return Geometry(shape, np.diag([x, y, z, 1])[:, [2, 1, 0, 3]]), _ITK
    check_file(source)
    geometry = read_geometry(source, _ITK)
    return _geometry_by_header(nifti_header(geometry)) if geometry.is_sheared else (geometry, _ITK)


def bring_image(source: Path, target: Path, copy: bool = False) -> tuple[Geometry, str]:
    """Link or convert one channel of a volume into a campaign, in the geometry of the original.

    NIfTI files keep every byte of their header, but for those of version 2, which ITK-based
    programs do not open: they become version 1, if they fit. Of other formats the voxels and their
    order, origin, spacing and directions are kept, also directions that are not at right angles.
    TIFF files, which have neither origin nor directions, get 0 and the identity. An image that is
    there already is left as it is.

    Parameters
    ----------
    source
        File, or folder of a DICOM series, or one of the series' files.
    target
        ``CASE_0000.nii.gz``.
    copy
        Copy what could be linked.

    Returns
    -------
    tuple of Geometry and str
        As :func:`look_at`.

    Raises
    ------
    SparseError
        As :func:`look_at`, and if the voxels cannot be read.
    """
    found = look_at(source)
    if target.is_symlink() or target.exists():
        return found
    if not _is_dicom(source) and is_nifti(source):
        _bring_nifti(source, target, copy)
        return found
    image = _read(source)
    with atomic_path(target, target.parent.parent) as temporary:
        write_nifti(image, temporary)
    return found


def check_images(campaign: Campaign) -> None:
    """Refuse a campaign of which images are gone, as links are whose volumes were moved.

    Raises
    ------
    SparseError
        Naming the first one.
    """
    for case_id in sorted(campaign.volumes):
        for file in campaign.image_files(case_id):
            if not file.exists():
                raise SparseError(
                    f"{_missing(file)}; put the volume back, or a copy of it in the link's place"
                )


def _missing(file: Path) -> str:
    if file.is_symlink():
        return f"{file} points to {os.path.realpath(file)}, which is gone"
    return f"{file} does not exist"


def _is_dicom(source: Path) -> bool:
    return source.is_dir() or not (is_image(source) or is_tiff(source))


def _nifti_geometry(source: Path) -> tuple[Geometry, str]:
    check_complete(source)
    if is_convertible(source):
        geometry, reader = _geometry_by_header(nifti1_header(source))
    else:
        geometry, reader = _readable_geometry(source)
    if geometry.num_channels != 1:
        raise SparseError(
            f"{source} holds {geometry.num_channels} volumes; nnU-Net needs a file for each "
            "channel (CASE_0000.nii.gz, CASE_0001.nii.gz)"
        )
    return geometry, reader


def _geometry_by_header(header: bytes) -> tuple[Geometry, str]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "header.nii"
        file.write_bytes(header)
        return _readable_geometry(file)


def _readable_geometry(file: Path) -> tuple[Geometry, str]:
    """Geometry by the first reader that takes the file."""
    try:
        return read_geometry(file, _ITK), _ITK
    except SparseError:  # sheared directions, for one
        return read_geometry(file, _NIBABEL), _NIBABEL


def _tiff_spacing(source: Path) -> tuple[float, float, float]:
    spacing = read_spacing(source, TIFF_READER)
    if not all(math.isfinite(mm) and mm > 0 for mm in spacing):
        raise SparseError(
            f"{spacing_file(source)} gives the spacing {spacing}, expected mm above 0"
        )
    return spacing


def _read(source: Path) -> sitk.Image:
    if _is_dicom(source):
        return read_dicom(source)
    if is_tiff(source):
        return _read_tiff(source)
    try:
        return read_itk_image(source)
    except RuntimeError as error:
        raise SparseError(f"{source} does not hold numbers: {first_line(error)}") from error


def _read_tiff(source: Path) -> sitk.Image:
    import tifffile

    with reading(f"{source} cannot be read"):
        voxels = tifffile.imread(source)
    if voxels.dtype.kind not in "iufb":
        raise SparseError(f"{source} holds {voxels.dtype}, not one number per voxel")
    if voxels.dtype.kind in "fb":  # ITK knows neither half floats nor booleans
        voxels = voxels.astype(np.float32)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(_tiff_spacing(source)[::-1])
    if not spacing_file(source).is_file():
        logger.warning(
            "%s: there is no %s with its spacing; 1 mm is taken, as nnU-Net does",
            source,
            spacing_file(source).name,
        )
    return plain_type(image)


def _bring_nifti(source: Path, target: Path, copy: bool) -> None:
    is_compressed, is_converted = source.suffix.lower() == ".gz", is_convertible(source)
    if is_compressed and not copy and not is_converted:
        link_file(source, target)
        return
    with atomic_path(target, target.parent.parent) as temporary:
        if is_compressed and not is_converted:
            shutil.copyfile(source, temporary)
            return
        with (
            temporary.open("wb") as file,
            # without name and time: the same volume gives the same bytes
            gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as compressed,
        ):
            if is_converted:
                write_as_nifti1(source, compressed)
                return
            with source.open("rb") as plain:
                shutil.copyfileobj(plain, compressed)
