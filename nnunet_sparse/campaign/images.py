"""Images of a campaign: linked where they are compressed NIfTI files, else converted."""

import gzip
import shutil
from pathlib import Path

from nnunet_sparse.atomic import atomic_path
from nnunet_sparse.dataset_tools.convert.dicom import read_dicom
from nnunet_sparse.dataset_tools.convert.volumes import read_image
from nnunet_sparse.errors import SparseError
from nnunet_sparse.geometry import read_geometry
from nnunet_sparse.label_io import check_complete, is_nifti
from nnunet_sparse.links import link_file
from nnunet_sparse.nifti import write_nifti

_LEVEL = 6


def bring_image(source: Path, target: Path, copy: bool = False) -> None:
    """Give a campaign one channel of a volume, in the geometry of the original.

    NIfTI files keep every byte of their header; of others the voxels and their order, origin,
    spacing and directions are kept. An image that is there already is left as it is.

    Parameters
    ----------
    source
        File, or folder of a DICOM series.
    target
        ``CASE_0000.nii.gz``.
    copy
        Copy what could be linked.

    Raises
    ------
    SparseError
        If the source is damaged, incomplete, or not one volume with one value per voxel.
    """
    if target.is_symlink() or target.exists():
        return
    if not source.is_dir() and is_nifti(source):
        _check_nifti(source)
        _bring_nifti(source, target, copy)
        return
    image = read_dicom(source) if source.is_dir() else read_image(source)
    with atomic_path(target, target.parent.parent) as temporary:
        write_nifti(image, temporary)


def _check_nifti(source: Path) -> None:
    check_complete(source)
    geometry = read_geometry(source, "NibabelIO")
    if geometry.num_channels != 1:
        raise SparseError(
            f"{source} holds {geometry.num_channels} volumes; nnU-Net needs a file for each "
            "channel (CASE_0000.nii.gz, CASE_0001.nii.gz)"
        )


def _bring_nifti(source: Path, target: Path, copy: bool) -> None:
    if source.name.endswith(".gz") and not copy:
        link_file(source, target)
        return
    with atomic_path(target, target.parent.parent) as temporary:
        if source.name.endswith(".gz"):
            shutil.copyfile(source, temporary)
            return
        with (
            source.open("rb") as plain,
            temporary.open("wb") as file,
            # without name and time: the same volume gives the same bytes
            gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as compressed,
        ):
            shutil.copyfileobj(plain, compressed)
