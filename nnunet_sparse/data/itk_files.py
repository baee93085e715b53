"""Files of volumes as ITK opens them, and whether they hold all voxels that their header promises.

ITK goes by endings, not all of which it knows in capital letters. It fills up GIPL files that end
early, takes what is left of MetaImage whose compressed voxels are damaged, and looks at no checksum
of NRRD.
"""

import bz2
import gzip
import io
import itertools
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nnunet_sparse.data.damaged_files import reading
from nnunet_sparse.data.volume_endings import IMAGE_IO, NIFTI_ENDINGS, ending_of
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import brief

if TYPE_CHECKING:
    import SimpleITK as sitk

_GIPL_HEADER = 256
_LOCAL = "LOCAL"
_META_IMAGE_FIELD = re.compile(r"\s*(\w+)\s*[=:]\s*(.*?)\s*")
_NRRD_FIELD = re.compile(r"([^:#]+):=?\s*(.*?)\s*")
_VOXELS_OF_META_IMAGE, _VOXELS_OF_NRRD = "elementdatafile", "datafile"
_MAX_DIMENSIONS = 10  # of MetaImage
_MOST_LINES = 10_000  # ITK compares each with all others; 3D Slicer writes about ten for a segment
OF_GZIP = 1032
"""How many bytes a byte of gzip can become."""
_OF_BZIP2 = 1_250_000  # runs are shortened first, 46 million equal bytes take about 40
_OF_TEXT = 8  # a number of 8 bytes in a letter and a space
_NRRD_COMPRESSIONS = {"gz": "gz", "gzip": "gz", "bz2": "bz2", "bzip2": "bz2"}
_CHUNK = 2**16  # becomes 64 MiB at most


@dataclass(frozen=True)
class _Header:
    """Text in front of voxels, or in a file beside them.

    ``fields`` have keys in small letters without spaces, ``voxels`` is what names the voxels' file,
    and ``end`` is where the text ends, in bytes.
    """

    fields: dict[str, str]
    voxels: str
    end: int

    @property
    def is_in_several_files(self) -> bool:
        return self.voxels.startswith("LIST") or "%" in self.voxels


def check_letters(file: Path) -> None:
    """Refuse endings such as ``.Nii.gz``, or ``.GIPL.GZ``, which neither ITK nor nibabel opens.

    Raises
    ------
    SparseError
        With the name that they open.
    """
    is_nifti = ending_of(file) in NIFTI_ENDINGS
    if not is_nifti and ending_of(file) != ".gipl.gz":
        return
    ending = "".join(file.suffixes[-2:]) if file.suffix.lower() == ".gz" else file.suffix
    known = {ending.lower(), ending.upper()} if is_nifti else {ending.lower()}
    if ending not in known:
        right = f"{file.name.removesuffix(ending)}{ending.lower()}"
        raise SparseError(f"{file} cannot be read under this name; call it {right}")


def itk_reader(file: Path) -> "sitk.ImageFileReader":
    """ITK's reader of a file, whatever the letters of its ending."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    ending = ending_of(file)
    if ending in IMAGE_IO and not file.name.endswith(ending):
        reader.SetImageIO(IMAGE_IO[ending])
    return reader


def voxels_name(file: Path) -> str:
    """What a header calls the file of its voxels; empty if they are in the same file.

    Raises
    ------
    SparseError
        If the header cannot be read.
    """
    header = _read_header(file)
    return "" if header is None or header.voxels == _LOCAL else header.voxels


def check_in_one_file(file: Path) -> None:
    """Refuse a header that names several files of voxels."""
    header = _read_header(file)
    if header is not None and header.is_in_several_files:
        raise SparseError(f"{file} keeps its voxels in several files; save them in one")


def check_header(file: Path) -> None:
    """Refuse a header with which ITK would end the process, or wait: before ITK reads it.

    Raises
    ------
    SparseError
        If it claims more dimensions than there is room for, or voxels in what is no regular file or
        lies in another folder.
    """
    header = _read_header(file)
    if header is None:
        return
    given = header.fields.get("ndims", header.fields.get("dimension", "3"))
    if not given.isdecimal() or len(given) > 2 or not 1 <= int(given) <= _MAX_DIMENSIONS:
        raise SparseError(f"{file} is damaged: it claims {brief(given)} dimensions")
    for part in _files_of_voxels(file, header):
        if part.exists() and not part.is_file():
            raise SparseError(f"{file} keeps its voxels in {part}, which is no file")
        # of a stranger, it would turn any file of this machine into an image
        if not part.is_relative_to(file.parent) or ".." in part.relative_to(file.parent).parts:
            raise SparseError(
                f"{file} keeps its voxels in {part}, outside its own folder; save both in one file"
            )


def held_bytes(file: Path) -> float:
    """Most bytes of voxels that a volume can hold, by its files and what compresses them.

    Infinite where the only file of voxels is missing, as is told by who reads it.
    """
    header = _read_header(file)
    parts = [file] if header is None else _files_of_voxels(file, header)
    if len(parts) == 1 and not parts[0].exists():
        return math.inf
    encoding = None if header is None else _nrrd_compression(header)
    is_compressed = file.suffix.lower() == ".gz" or (header is not None and _is_compressed(header))
    ratio = _OF_BZIP2 if encoding == "bz2" else OF_GZIP if encoding or is_compressed else _OF_TEXT
    return ratio * sum(part.stat().st_size for part in parts if part.is_file())


def _files_of_voxels(file: Path, header: _Header) -> list[Path]:
    """Files that hold the voxels, as far as they are there for a pattern of names."""
    if not header.voxels or header.voxels.upper() == _LOCAL:
        return [file]
    if header.voxels.startswith("LIST"):
        with file.open("rb") as stream:
            stream.seek(header.end)
            lines = stream.read().decode("utf-8", errors="surrogateescape").splitlines()
        return [file.parent / line.strip() for line in lines if line.strip()]
    if "%" in header.voxels:
        pattern = file.parent / re.sub(r"%\d*d", "*", header.voxels.split()[0])
        return sorted(pattern.parent.glob(pattern.name))
    return [file.parent / header.voxels]


def check_whole(file: Path, content: bool = True) -> None:
    """Refuse what ITK, and nnU-Net with it, reads in part: NRRD, MetaImage and GIPL.

    Parameters
    ----------
    file
        Any file; one of another format is passed over.
    content
        Also decompress voxels, for their checksum.

    Raises
    ------
    SparseError
        With the file's name, if it is too short, damaged or cannot be read.
    """
    if ending_of(file) not in IMAGE_IO:
        return
    reader = itk_reader(file)
    with reading(f"{file} cannot be read"):
        reader.ReadImageInformation()
    check_size(file, reader)
    if content:
        check_content(file, reader)


def check_size(file: Path, reader: "sitk.ImageFileReader") -> None:
    """Refuse a file that is too short for its voxels, where ITK does not, or not in plain words.

    Parameters
    ----------
    file
        A volume; compressed ones are for :func:`check_content`.
    reader
        Which has read the file's header.

    Raises
    ------
    SparseError
        With the file's name.
    """
    if ending_of(file) == ".gipl":
        _check_length(file, file.stat().st_size, _GIPL_HEADER + num_bytes(reader))
        return
    found = _voxels_of_meta_image(file)
    if found is None:
        return
    header, voxels, start = found
    if not voxels.is_file():
        raise SparseError(f"{file} has its voxels in {voxels}, which does not exist")
    is_binary = header.fields.get("binarydata", "True").lower() == "true"
    if is_binary and not _is_compressed(header):
        _check_length(voxels, voxels.stat().st_size, start + num_bytes(reader))


def check_content(file: Path, reader: "sitk.ImageFileReader") -> None:
    """Refuse compressed voxels that are damaged or too few, by their checksums.

    Parameters
    ----------
    file
        A volume.
    reader
        Which has read the file's header.

    Raises
    ------
    SparseError
        With the file's name.
    """
    expected = num_bytes(reader)
    if ending_of(file) == ".gipl.gz":
        with reading(f"{file} is damaged"), gzip.open(file) as stream:
            length = stream.seek(0, io.SEEK_END)
        _check_length(file, length, _GIPL_HEADER + expected)
    elif (found := _voxels_of_meta_image(file)) is not None and _is_compressed(found[0]):
        _, voxels, start = found
        with reading(f"{voxels} is damaged"), voxels.open("rb") as raw:
            raw.seek(start)
            length = _inflated_length(raw)
        _check_length(voxels, length, expected)
    elif (at := _compressed_nrrd(file)) is not None:
        voxels, start, encoding = at
        opened = bz2.open if encoding == "bz2" else gzip.open
        with reading(f"{voxels} is damaged"), voxels.open("rb") as raw:
            raw.seek(start)
            with opened(raw) as stream:
                length = sum(len(chunk) for chunk in _chunks(stream))
        _check_length(voxels, length, expected)


def _check_length(file: Path, length: int, expected: int) -> None:
    if length < expected:
        raise SparseError(f"{file} is truncated: {length} of {expected} bytes")


def num_bytes(reader: "sitk.ImageFileReader") -> int:
    """Bytes of all voxels of a file, by its header."""
    import SimpleITK as sitk

    num_components = reader.GetNumberOfComponents()
    few = min(num_components, 2)  # of vectors; a header may claim any number
    pixel = sitk.GetArrayViewFromImage(sitk.Image([1] * 2, reader.GetPixelID(), few))
    return int(math.prod(reader.GetSize()) * num_components * pixel.nbytes // few)


def _inflated_length(stream: BinaryIO) -> int:
    """Length of what a zlib stream holds, whose checksum is compared."""
    inflate, length = zlib.decompressobj(), 0
    for chunk in _chunks(stream):
        length += len(inflate.decompress(chunk))
        if inflate.eof:
            return length
    raise EOFError("the compressed voxels end early")


def _chunks(stream: BinaryIO | gzip.GzipFile | bz2.BZ2File) -> Iterator[bytes]:
    return iter(lambda: stream.read(_CHUNK), b"")


def _is_compressed(header: _Header) -> bool:
    return header.fields.get("compresseddata", "").lower() == "true"


def _nrrd_compression(header: _Header) -> str | None:
    """What compresses the voxels of a NRRD file, ``gz`` or ``bz2``; None if nothing does."""
    return _NRRD_COMPRESSIONS.get(header.fields.get("encoding", "").lower())


def _voxels_of_meta_image(file: Path) -> tuple[_Header, Path, int] | None:
    """Header of a MetaImage file, the file of its voxels, and where they begin there."""
    if ending_of(file) not in {".mha", ".mhd"}:
        return None
    header = _read_header(file)
    if header is None or not header.voxels or header.is_in_several_files:
        return None
    if header.voxels.upper() == _LOCAL:
        return header, file, header.end
    start = header.fields.get("headersize", "0")
    return header, file.parent / header.voxels, int(start) if start.isdigit() else 0


def _compressed_nrrd(file: Path) -> tuple[Path, int, str] | None:
    """File of the compressed voxels of a NRRD file, where they begin, and ``gz`` or ``bz2``."""
    if ending_of(file) not in {".nrrd", ".nhdr"}:
        return None
    header = _read_header(file)
    if header is None or header.is_in_several_files:
        return None
    fields, encoding = header.fields, _nrrd_compression(header)
    if encoding is None or any(fields.get(key, "0") != "0" for key in ("lineskip", "byteskip")):
        return None
    if not header.voxels or header.voxels == _LOCAL:
        return file, header.end, encoding
    return file.parent / header.voxels, 0, encoding


def _read_header(file: Path) -> _Header | None:
    """Text of a MetaImage or NRRD header; None for other formats."""
    ending = ending_of(file)
    if ending not in {".mha", ".mhd", ".nrrd", ".nhdr"}:
        return None
    is_nrrd = ending in {".nrrd", ".nhdr"}
    pattern, last = (
        (_NRRD_FIELD, _VOXELS_OF_NRRD) if is_nrrd else (_META_IMAGE_FIELD, _VOXELS_OF_META_IMAGE)
    )
    fields: dict[str, str] = {}
    end = 0
    with reading(f"{file} cannot be read"), file.open("rb") as stream:
        lines = itertools.takewhile(len, iter(stream.readline, b""))
        for number, line in enumerate(lines, 1):
            if number > _MOST_LINES:
                raise SparseError(f"{file} is damaged: its header has over {_MOST_LINES} lines")
            end += len(line)
            text = line.decode("utf-8", errors="surrogateescape").rstrip("\r\n")
            if is_nrrd and not text.strip():  # a blank line ends the header
                break
            if match := pattern.fullmatch(text):
                key = match[1].strip().replace(" ", "").lower()
                fields[key] = match[2]
                # names of files may follow in NRRD, and voxels in MetaImage
                if key == last and (not is_nrrd or match[2].startswith("LIST")):
                    break
    return _Header(fields, fields.get(last, ""), end)
