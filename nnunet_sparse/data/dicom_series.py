"""Reading a DICOM series as a volume, and refusing one with gaps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.itk_volumes import plain_type
from nnunet_sparse.system.errors import SparseError

_DESCRIPTION = "0008|103e"
_SERIES_UID = "0020|000e"
_POSITION = "0020|0032"
_ORIENTATION = "0020|0037"
# largest difference of two distances between slices, as a share of their mean
_MAX_UNEVENNESS = 0.01


@dataclass(frozen=True)
class Series:
    """A folder with the files of one DICOM series.

    Attributes
    ----------
    folder
        The folder.
    uid
        SeriesInstanceUID.
    description
        SeriesDescription, stripped; empty if there is none.
    """

    folder: Path
    uid: str
    description: str


def is_series_folder(folder: Path) -> bool:
    """Whether a folder holds files ``*.dcm``."""
    return bool(_dicom_files(folder))


def read_series(folder: Path) -> Series:
    """What the first file of a folder says about its series.

    Of a file that is no image (or one that ITK does not read, such as a DICOM segmentation) only
    the folder's name is known, which serves as description.
    """
    try:
        tags = _tags(_dicom_files(folder)[0])
    except SparseError:
        return Series(folder, "", folder.name)
    return Series(folder, tags.get(_SERIES_UID, ""), tags.get(_DESCRIPTION, ""))


def slice_files(folder: Path) -> list[str]:
    """Files of a folder's one series, sorted along the normal of the slices.

    Raises
    ------
    SparseError
        If there are several series, a file is damaged, or slices are missing, doubled or turned
        against each other.
    """
    uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(uids) != 1:
        raise SparseError(f"{folder} holds {len(uids)} DICOM series, expected 1")
    files = list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uids[0]))
    if others := [path for path in _dicom_files(folder) if str(path) not in files]:
        raise SparseError(f"{others[0]} is damaged: it is not recognised as a DICOM image")
    _check_stack(folder, files)
    return files


def read_dicom(folder: Path) -> sitk.Image:
    """Read the series of a folder.

    Raises
    ------
    SparseError
        As :func:`slice_files`, and if the files cannot be read.
    """
    files = slice_files(folder)
    try:
        return plain_type(sitk.ReadImage(files))
    except RuntimeError as error:
        raise SparseError(f"{folder} cannot be read: {first_line(error)}") from error


def _dicom_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".dcm")


def _check_stack(folder: Path, files: list[str]) -> None:
    if len(files) < 2:
        raise SparseError(f"{folder} holds {len(files)} slice, not a volume")
    tags = [_tags(Path(file)) for file in files]
    orientations = np.array(
        [_numbers(t, _ORIENTATION, 6, f) for t, f in zip(tags, files, strict=True)]
    )
    positions = np.array([_numbers(t, _POSITION, 3, f) for t, f in zip(tags, files, strict=True)])
    if np.abs(orientations - orientations[0]).max() > 1e-3:
        raise SparseError(f"{folder}: its slices are turned against each other")
    normal = np.cross(orientations[0, :3], orientations[0, 3:])
    steps = np.diff(np.sort(positions @ normal))
    if steps.min() <= _MAX_UNEVENNESS * steps.mean():
        raise SparseError(f"{folder}: two slices lie at the same position; is a series doubled?")
    if steps.max() - steps.min() > _MAX_UNEVENNESS * steps.mean():
        raise SparseError(
            f"{folder}: distances between slices vary from {steps.min():.4g} to {steps.max():.4g} "
            "mm; is a slice missing?"
        )


def _tags(file: Path) -> dict[str, str]:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise SparseError(f"{file} is not a DICOM image: {first_line(error)}") from error
    return {key: str(reader.GetMetaData(key)).strip(" \0") for key in reader.GetMetaDataKeys()}


def _numbers(tags: dict[str, str], key: str, count: int, file: str) -> list[float]:
    """Values of a tag with several numbers."""
    try:
        values = [float(text) for text in tags.get(key, "").split("\\")]
    except ValueError:
        values = []
    if len(values) != count:
        raise SparseError(f"{file} has no valid DICOM tag ({key.replace('|', ',')})")
    return values
