"""Values of DICOM files: the numbers that are stored, by slope and intercept of each slice.

pydicom reads pixels that are not compressed, or by RLE, and ITK's GDCM all others. GDCM is given
the pixels alone: of whole files it inverts those in which 0 is white (MONOCHROME1), which is a
matter of display, and applies slopes only to those kinds of files that it knows.
"""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from nnunet_sparse.data.claimed_size import check_text
from nnunet_sparse.data.damaged_files import first_line, reading
from nnunet_sparse.data.dicom_header import DicomHeader
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained

_TABLE = "ModalityLUTSequence"
# what says how pixels are stored
_PIXEL_TAGS = [
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
]
_PLAIN_BITS = {1, 8, 16, 32}
_PLAIN_SYNTAXES = {
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
}
_WHOLE_TYPES = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4"))


def read_values(header: DicomHeader) -> np.ndarray:
    """Read the values of a file.

    Returns
    -------
    np.ndarray, shape (frame, row, column)
        Integers of at most 32 bits where slope and intercept are whole numbers and the same for all
        frames, or the file has a table of whole values (Modality LUT); else float32.

    Raises
    ------
    SparseError
        If pixels cannot be read.
    """
    check_text(header.file)
    with (
        explained(lambda error: f"{header.file} is damaged: {first_line(error)}"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # pydicom's, about lengths that fit all the same
        data = pydicom.dcmread(header.file, force=True, specific_tags=[*_PIXEL_TAGS, _TABLE])
        stored = _stored_numbers(header, data)
        if data.get(_TABLE):
            return np.asarray(apply_modality_lut(stored, data))
    return _rescaled(stored, header, int(data.get("BitsStored", 8 * stored.dtype.itemsize)))


def _stored_numbers(header: DicomHeader, data: Dataset) -> np.ndarray:
    pixels = _pixels_alone(data)
    is_plain = pixels.BitsAllocated in _PLAIN_BITS and pixels.HighBit == pixels.BitsStored - 1
    if is_plain and pixels.file_meta.TransferSyntaxUID in _PLAIN_SYNTAXES:
        voxels = pixels.pixel_array
    else:
        voxels = _decoded_by_gdcm(header.file, pixels)
    with reading(f"{header.file} is damaged"):
        return np.asarray(voxels).reshape(len(header.slices), *(header.size or ()))


def _pixels_alone(data: Dataset) -> Dataset:
    """An object that holds the pixels of another one, and only what says how they are stored."""
    pixels = Dataset()
    for name in _PIXEL_TAGS:
        if name in data:
            pixels[name] = data[name]
    stored = pixels.setdefault("BitsStored", pixels.BitsAllocated).value
    pixels.setdefault("HighBit", stored - 1)
    pixels.setdefault("PixelRepresentation", 0)
    pixels.SOPClassUID, pixels.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2"
    pixels.SamplesPerPixel, pixels.PhotometricInterpretation = 1, "MONOCHROME2"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pixels.SOPClassUID
    meta.MediaStorageSOPInstanceUID = pixels.SOPInstanceUID
    is_implicit, is_little = data.original_encoding
    syntax = data.file_meta.get("TransferSyntaxUID")
    if syntax in {None, DeflatedExplicitVRLittleEndian}:
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        syntax = ImplicitVRLittleEndian if is_implicit else explicit
    meta.TransferSyntaxUID = syntax
    pixels.file_meta = meta
    pixels.set_original_encoding(is_implicit, is_little)
    return pixels


def _decoded_by_gdcm(file: Path, pixels: Dataset) -> np.ndarray:
    with TemporaryDirectory() as folder:
        alone = Path(folder) / "pixels.dcm"
        pixels.save_as(alone, enforce_file_format=True)
        try:
            image = sitk.ReadImage(str(alone), imageIO="GDCMImageIO")
        except RuntimeError as error:
            raise SparseError(f"{file} cannot be read: {first_line(error)}") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise SparseError(f"{file} holds several values per voxel")
    return np.asarray(sitk.GetArrayFromImage(image))


def _rescaled(stored: np.ndarray, header: DicomHeader, bits: int) -> np.ndarray:
    """Values of stored numbers; their type holds all that so many bits can store."""
    slopes, intercepts = np.array([one.rescale for one in header.slices]).T[:, :, None, None]
    slopes = np.where(slopes == 0, 1, slopes)  # what no value follows from is no slope
    slope, intercept = float(slopes.flat[0]), float(intercepts.flat[0])
    if (slopes != slope).any() or (intercepts != intercept).any():
        return _fractions(header.file, stored, slopes, intercepts)
    if (slope, intercept) == (1, 0):
        return stored
    dtype = _whole_type(stored, bits, slope, intercept)
    if dtype is None:
        return _fractions(header.file, stored, slope, intercept)
    return np.asarray(stored.astype(np.int64) * int(slope) + int(intercept), dtype)


def _fractions(
    file: Path, stored: np.ndarray, slope: np.ndarray | float, intercept: np.ndarray | float
) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(stored * slope + intercept, np.float32)
    if not np.isfinite(values).all():
        raise SparseError(f"{file} is damaged: slope and intercept make values that are no numbers")
    return values


def _whole_type(
    stored: np.ndarray, bits: int, slope: float, intercept: float
) -> "np.dtype[np.integer] | None":
    """Smallest type for all whole values; None if there is none, or values are fractions."""
    if not (slope.is_integer() and intercept.is_integer()):
        return None
    signed = stored.dtype.kind == "i"
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    ends = sorted(int(slope) * end + int(intercept) for end in (least, most))
    for dtype in _WHOLE_TYPES:
        limits = np.iinfo(dtype)
        if limits.min <= ends[0] and ends[1] <= limits.max:
            return dtype
    return None
