"""What a DICOM file says about its slices, and which files are DICOM at all.

A slice is a file of its own, or a frame of a multi-frame file. In the enhanced kinds of files what
holds for all frames stands in shared functional groups, what differs in those of each frame.
"""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nnunet_sparse.data.claimed_size import check_inflated
from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.dicom_elements import digits_of, numbers_of, text_of, texts_of, whole_of
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DICOM_ENDING = ".dcm"
HIDDEN_BY_MACOS = "._"
"""Begins the names of files that macOS leaves beside others on foreign disks."""

_MAGIC_AT, _MAGIC = 128, b"DICM"
# what files without a preamble begin with: an early element of group 0002 or 0008, little-endian,
# and its type or its length
_BARE_START = re.compile(rb"[\2\10]\0[\0\1\5\10\22\24\26\30]\0(?:[A-Z]{2}|.\0\0\0)", re.DOTALL)
_DEFLATED = "1.2.840.10008.1.2.1.99"
_LONGEST_GROUP = 4096  # of the file's own description, where it names how it is encoded
_OF_LENGTH = 12  # bytes of the element that holds the length of this description
_PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_UNDEFINED_LENGTH = 0xFFFFFFFF
_OF_COMPRESSED = 2**16  # bytes of pixels of a byte of the file, blank ones of the best methods
_MOST_FRAMES = 100_000  # each is a slice, with its place
_GREY = ("MONOCHROME1", "MONOCHROME2")
# pixels, or what is stored as such, that are no intensities of a scan
_NO_SCANS = frozenset(
    {
        "Segmentation Storage",
        "Label Map Segmentation Storage",
        "Parametric Map Storage",
        "RT Dose Storage",
        "RT Image Storage",
        "MR Spectroscopy Storage",
    }
)
_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "ImageType",
    "Modality",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "ConcatenationUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
# where the groups of an enhanced file hold what others have at their top
_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
}


@dataclass(frozen=True)
class Slice:
    """A slice of a series, as its header places it.

    Attributes
    ----------
    file
        Its file.
    frame
        Number of the frame in the file, from 0.
    position
        Centre of the first pixel, LPS, mm; empty if the header has none.
    orientation
        Directions of the columns' index (along a row) and of the rows' index; empty if there is
        none.
    spacing_mm
        Distance of rows, and of columns; empty if there is none.
    rescale
        Slope and intercept that turn stored numbers into values.
    position_digits, orientation_digits
        Digits after the point with which position and orientation are stored, at most.
    """

    file: Path
    frame: int
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    rescale: tuple[float, ...]
    position_digits: int
    orientation_digits: int


@dataclass(frozen=True)
class DicomHeader:
    """Header of a DICOM file.

    Attributes
    ----------
    file
        The file.
    kind
        Name of the kind of object (SOP class), as in ``CT Image Storage``.
    modality, description, number
        Modality, SeriesDescription and SeriesNumber; empty if there are none.
    image_type
        ImageType, as in ``ORIGINAL``, ``PRIMARY``, ``AXIAL``.
    series_uid
        SeriesInstanceUID.
    stack_uid
        What the slices of one stack share, beyond their series: empty for files of one slice; for
        multi-frame files their own UID, or that of the files which one image was divided into.
    size
        Rows and columns; None for an object without pixels.
    slices
        One per frame.
    no_slices
        Why these are no slices of a scan; empty if they may be.
    """

    file: Path
    kind: str
    modality: str
    description: str
    number: str
    image_type: tuple[str, ...]
    series_uid: str
    stack_uid: str
    size: tuple[int, int] | None
    slices: tuple[Slice, ...]
    no_slices: str

    @property
    def has_position(self) -> bool:
        """Whether any of its slices has a place."""
        return any(one.position and one.orientation for one in self.slices)


def dicom_files(folder: Path, names: Iterable[str] | None = None) -> list[Path]:
    """DICOM files of a folder, sorted by name, hidden ones left out.

    Files called ``*.dcm`` are taken for DICOM; others are if they begin like one.

    Parameters
    ----------
    folder
        The folder itself is searched, not those below it.
    names
        Names of files to look at; None for all.
    """
    files = folder.iterdir() if names is None else (folder / name for name in names)
    return sorted(path for path in files if is_dicom_file(path))


def is_dicom_file(path: Path) -> bool:
    """Whether a file is DICOM by its name or its first bytes; hidden ones never count."""
    if path.name[0] == "." or not path.is_file():
        return False
    if path.suffix.lower() == DICOM_ENDING:
        return True
    try:
        with path.open("rb") as file:
            start = file.read(_MAGIC_AT + len(_MAGIC))
    except OSError as error:
        raise SparseError(f"{path} cannot be read: {error.strerror or error}") from error
    return _begins_like_dicom(start)


def read_header(file: Path) -> DicomHeader:
    """Read what a DICOM file says about its slices, once while it stays the same.

    Pixels are not read.

    Raises
    ------
    SparseError
        If the file cannot be opened, or is damaged: no DICOM file, or one that ends before its last
        pixel.
    """
    with explained(lambda error: _unreadable(file, error)):
        found = file.stat()
        return _read_header(file, (found.st_size, found.st_mtime_ns, found.st_ino))


@lru_cache(maxsize=2**16)
def _read_header(file: Path, _state: tuple[int, ...]) -> DicomHeader:
    """Header of a file in a state, which stands for its content."""
    import pydicom

    with file.open("rb") as raw:
        start = raw.read(_MAGIC_AT + len(_MAGIC))
        if _DEFLATED.encode() in raw.read(_LONGEST_GROUP):
            group = pydicom.filereader.read_file_meta_info(file).FileMetaInformationGroupLength
            check_inflated(file, len(start) + _OF_LENGTH + group)
        if not _begins_like_dicom(start):
            raise SparseError(f"{file} is damaged: it is not recognised as a DICOM image")
        raw.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, about values that are not looked at
            data = pydicom.dcmread(raw, stop_before_pixels=True, force=True, specific_tags=_TAGS)
            return _header_of(file, data, raw)


def _unreadable(file: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{file} cannot be read: {error.strerror or error}"
    return f"{file} is damaged: {first_line(error)}"


def _begins_like_dicom(start: bytes) -> bool:
    return start[_MAGIC_AT:] == _MAGIC or _BARE_START.match(start) is not None


def _header_of(file: Path, data: "Dataset", raw: BinaryIO) -> DicomHeader:
    import pydicom

    sop_class = text_of(data, "SOPClassUID") or str(
        data.file_meta.get("MediaStorageSOPClassUID", "")  # a DICOMDIR has it here alone
    )
    kind = pydicom.uid.UID(sop_class).name if sop_class else "object of no kind"
    rows, columns = whole_of(data, "Rows", 0), whole_of(data, "Columns", 0)
    frames = whole_of(data, "NumberOfFrames", 1) or 1  # 0 is none, which pydicom takes for 1
    why = _no_slices(data, kind, bool(rows and columns))
    slices: tuple[Slice, ...] = ()
    if not why:
        if not 1 <= frames <= _MOST_FRAMES:
            raise SparseError(
                f"{file} is damaged: it claims {frames} frames, not 1 to {_MOST_FRAMES}"
            )
        _check_pixels(file, data, raw, rows * columns * frames)
        slices = tuple(_slice(file, data, frame) for frame in range(frames))
    return DicomHeader(
        file,
        kind.removesuffix(" Storage"),
        text_of(data, "Modality"),
        text_of(data, "SeriesDescription"),
        " ".join(texts_of(data, "SeriesNumber")),
        tuple(texts_of(data, "ImageType")),
        text_of(data, "SeriesInstanceUID"),
        ""
        if frames == 1 and "ConcatenationUID" not in data
        else text_of(data, "ConcatenationUID") or text_of(data, "SOPInstanceUID"),
        (rows, columns) if rows and columns else None,
        slices,
        why,
    )


def _no_slices(data: "Dataset", kind: str, has_size: bool) -> str:
    """Why an object holds no slices of a scan; empty if it may."""
    if kind in _NO_SCANS or not (has_size or kind.endswith("Image Storage")):
        return kind.removesuffix(" Storage")
    photometric = text_of(data, "PhotometricInterpretation")
    if whole_of(data, "SamplesPerPixel", 1) != 1 or photometric not in (*_GREY, ""):
        return f"colours ({photometric}), not one value per voxel"
    image_type = texts_of(data, "ImageType")
    if "LOCALIZER" in image_type:
        return "localizer"
    # of Siemens: all slices of a volume side by side in one picture
    return "mosaic of slices; dcm2niix takes it apart" if "MOSAIC" in image_type else ""


def _check_pixels(file: Path, data: "Dataset", raw: BinaryIO, count: int) -> None:
    """Refuse a file that ends before the last of its pixels; those of compressed ones may differ.

    ``raw`` is read up to the pixels.
    """
    expected = count * max(1, whole_of(data, "BitsAllocated", 16)) // 8
    if expected > _OF_COMPRESSED * file.stat().st_size:
        raise SparseError(f"{file} is damaged: it cannot hold the {expected} bytes of its header")
    if data.file_meta.get("TransferSyntaxUID") == _DEFLATED:
        return
    is_implicit, is_little = data.original_encoding
    start = raw.tell()
    head = raw.read(12)
    if head[:4] not in _PIXELS:
        raise SparseError(f"{file} is damaged: it holds no pixels")
    at = 4 if is_implicit else 8
    length = int.from_bytes(head[at : at + 4], "little" if is_little else "big")
    if length == _UNDEFINED_LENGTH:
        return
    size = raw.seek(0, 2) - start - at - 4
    if length < expected or size < length:
        raise SparseError(
            f"{file} is damaged: it holds {min(length, size)} bytes of pixels, expected {expected}"
        )


def _slice(file: Path, data: "Dataset", frame: int) -> Slice:
    position, orientation, spacing, slope, intercept = (
        texts_of(_group(data, name, frame), name) for name in _GROUPS
    )
    return Slice(
        file,
        frame,
        numbers_of(file, position, "ImagePositionPatient", 3),
        numbers_of(file, orientation, "ImageOrientationPatient", 6),
        numbers_of(file, spacing, "PixelSpacing", 2),
        (
            *(numbers_of(file, slope, "RescaleSlope", 1) or (1.0,)),
            *(numbers_of(file, intercept, "RescaleIntercept", 1) or (0.0,)),
        ),
        digits_of(position),
        digits_of(orientation),
    )


def _group(data: "Dataset", name: str, frame: int) -> "Dataset":
    """The part of a header that says something about a frame; the top where no group does."""
    for groups, item in (
        ("SharedFunctionalGroupsSequence", 0),
        ("PerFrameFunctionalGroupsSequence", frame),
    ):
        found = data.get(groups)
        sequence = found[item].get(_GROUPS[name]) if found and len(found) > item else None
        if sequence and name in sequence[0]:
            return sequence[0]  # type: ignore[no-any-return]
    return data
