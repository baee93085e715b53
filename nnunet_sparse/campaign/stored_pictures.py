"""The numbers that pictures store: PNG, TIFF and BMP files whose values are labels.

Libraries for pictures show them: they invert files in which white is 0, stretch grey values of few
bits, shorten those of 16, and turn what is to be seen turned. Labels are the numbers as they are
stored, and of a palette the indices; files of which that is not known are refused.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.label_files import to_integers
from nnunet_sparse.data.volume_endings import TIFF_ENDINGS
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained

if TYPE_CHECKING:
    import tifffile
    from PIL.ImageFile import ImageFile

PICTURE_ENDINGS = (".png", *TIFF_ENDINGS, ".bmp")
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 274  # tag of TIFF and of Exif
_UPRIGHT = 1
_WHITE_IS_ZERO = 0
_PHOTOMETRIC = {0, 1, 2, 3}  # white is 0, black is 0, RGB, palette
_JPEG = {6, 7, 34892}
# writes truth values like that, 1 for what is true; napari and scikit-image use it
_TIFFFILE = "tifffile"
# what Pillow multiplies grey values of 2 and 4 bits by
_GREY_FACTORS = {"L;2": 85, "L;4": 17}
_BLACK, _WHITE = [0, 0, 0], [255, 255, 255]
_AS_A_LABEL = "save it in grey, or with a palette, as PNG"


def read_picture(file: Path) -> np.ndarray:
    """Read the numbers of a picture.

    Parameters
    ----------
    file
        PNG, TIFF or BMP.

    Returns
    -------
    np.ndarray, shape (rows, columns), integers

    Raises
    ------
    SparseError
        If the file cannot be read, holds several pictures, colours or transparency, or does not say
        which numbers its pixels have.
    """
    with explained(lambda error: f"{file} cannot be read as a picture: {first_line(error)}"):
        with file.open("rb") as stream:
            is_tiff = stream.read(4) in _TIFF_MAGIC
        return to_integers(_tiff_picture(file) if is_tiff else _plain_picture(file), file)


def read_tiff_stack(file: Path) -> np.ndarray:
    """Read all numbers of a TIFF file.

    Returns
    -------
    np.ndarray, integers
        In the shape that the file gives, which has axes of length 1 where its program wrote such.

    Raises
    ------
    SparseError
        As :func:`read_picture`, but for several pictures.
    """
    import tifffile

    with (
        explained(lambda error: f"{file} cannot be read as TIFF: {first_line(error)}"),
        tifffile.TiffFile(file) as tiff,
    ):
        _check_pages(tiff, file)
        stack = _pages_together(tiff, file)
        _check_white(tiff, stack, file)
        return to_integers(stack, file)


def _tiff_picture(file: Path) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        _check_count(len(tiff.series), file)
        _check_pages(tiff, file)
        pixels, axes = tiff.series[0].asarray(), tiff.series[0].axes
        _check_white(tiff, pixels, file)
        opaque = not tiff.pages.first.extrasamples
    if "S" in axes:
        pixels = np.moveaxis(pixels, axes.index("S"), -1)
    samples = pixels.shape[-1:] if "S" in axes else ()
    *planes, rows, columns = pixels.shape[: pixels.ndim - len(samples)]
    _check_count(int(np.prod(planes)), file)
    pixels = pixels.reshape(rows, columns, *samples)
    return _grey(pixels, opaque, file) if samples else pixels


def _pages_together(tiff: "tifffile.TiffFile", file: Path) -> np.ndarray:
    """All numbers of a file, also where its program wrote one page after the other."""
    arrays = [series.asarray() for series in tiff.series]
    if len(arrays) == 1:
        return np.asarray(arrays[0])
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise SparseError(
            f"{file} holds pictures of several sizes: {', '.join(map(str, shapes))}; a volume has "
            "slices of one size"
        )
    return np.stack(arrays)


def _check_pages(tiff: "tifffile.TiffFile", file: Path) -> None:
    """Refuse pages of which it is not known how they store labels."""
    for page in (found.aspage() for found in tiff.pages):
        orientation = page.tags.get(_ORIENTATION)
        _check_upright(_UPRIGHT if orientation is None else int(orientation.value), file)
        if page.photometric not in _PHOTOMETRIC:
            kind = getattr(page.photometric, "name", page.photometric)
            raise SparseError(
                f"{file} has the photometric interpretation {kind}, its numbers are no labels: "
                f"{_AS_A_LABEL}"
            )
        if page.compression in _JPEG:
            raise SparseError(f"{file} is compressed as JPEG, which changes numbers: {_AS_A_LABEL}")


def _check_white(tiff: "tifffile.TiffFile", pixels: np.ndarray, file: Path) -> None:
    """Refuse pictures of two values in which 0 is white, where programs differ in what they mean.

    ImageJ and tifffile store the numbers of the label; Pillow inverts them as it writes.
    """
    first = tiff.pages.first
    if first.software.startswith(_TIFFFILE) or tiff.is_imagej:
        return
    if all(page.aspage().photometric != _WHITE_IS_ZERO for page in tiff.pages):
        return
    full = 2 ** int(first.bitspersample) - 1
    if pixels.dtype.kind in "bu" and ((pixels == 0) | (pixels == full)).all():
        raise _inverted(file, "its photometric interpretation is white is zero")


def _plain_picture(file: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(file) as picture:
        if picture.format not in {"PNG", "BMP", "DIB"}:
            raise SparseError(f"{file} is a file of the format {picture.format}: {_AS_A_LABEL}")
        raw_mode = _raw_mode(picture)  # gone once the pixels are there
        if raw_mode == "P;1" and (picture.getpalette() or [])[:6] == _WHITE + _BLACK:
            raise _inverted(file, "its palette has white first")
        if picture.format != "PNG" and (indices := _indices_of_bmp(file, picture)) is not None:
            return indices
        if raw_mode.endswith(";16B") and picture.mode != "I;16":
            raise SparseError(f"{file} has colours of 16 bits: {_AS_A_LABEL}")
        _check_count(getattr(picture, "n_frames", 1), file)
        _check_upright(int(picture.getexif().get(_ORIENTATION, _UPRIGHT)), file)
        opaque = not picture.mode.endswith("A")
        pixels = np.asarray(picture) // _GREY_FACTORS.get(raw_mode, 1)
    return _grey(pixels, opaque, file) if pixels.ndim == 3 else pixels


def _raw_mode(picture: "ImageFile") -> str:
    """How Pillow calls what the file stores."""
    arguments = picture.tile[0][3] if picture.tile else None
    mode = arguments[0] if isinstance(arguments, tuple | list) else arguments
    return str(mode or "")


def _indices_of_bmp(file: Path, picture: "ImageFile") -> np.ndarray | None:
    """Indices of a palette; None for colours of 8 bits each.

    Pillow takes a palette of greys for grey values, and black and white for pixels of 1 bit.
    """
    content = file.read_bytes()
    start, size = struct.unpack_from("<II", content, 10)
    bits = int(struct.unpack_from("<H", content, 24 if size == 12 else 28)[0])
    packed = size > 12 and struct.unpack_from("<I", content, 30)[0] != 0
    if bits in {24, 32}:
        return None
    if packed or bits not in {1, 4, 8}:
        raise SparseError(f"{file} is BMP of {bits} bits, packed or in colour: {_AS_A_LABEL}")
    is_from_top = size > 12 and struct.unpack_from("<i", content, 22)[0] < 0
    columns, rows = picture.size
    length = (columns * bits + 31) // 32 * 4
    lines = np.frombuffer(content, np.uint8, rows * length, start).reshape(rows, length)
    digits = np.unpackbits(lines, axis=1)[:, : columns * bits].reshape(rows, columns, bits)
    indices = np.packbits(digits, axis=2, bitorder="big")[..., 0] >> (8 - bits)
    return indices if is_from_top else indices[::-1]


def _check_count(count: int, file: Path) -> None:
    if count != 1:
        raise SparseError(f"{file} holds {count} pictures, a mask is one")


def _check_upright(orientation: int, file: Path) -> None:
    if orientation != _UPRIGHT:
        raise SparseError(
            f"{file} is to be shown turned (orientation {orientation}); save it upright, so that "
            "all programs read the same rows"
        )


def _inverted(file: Path, why: str) -> SparseError:
    """Error for black and white in which 0 is white: it cannot be told which of them is meant."""
    return SparseError(
        f"{file} is black and white, and 0 is white in it ({why}), so that programs differ in what "
        "the object is; save it in grey values, 0 and the label"
    )


def _grey(pixels: np.ndarray, opaque: bool, file: Path) -> np.ndarray:
    """Reduce a picture whose channels are equal to one of them."""
    channels = pixels if opaque else pixels[..., :-1]
    if (channels != channels[..., :1]).any():
        raise SparseError(
            f"{file} is coloured; the values of a mask are labels: save it in grey or with a "
            "palette"
        )
    if not opaque and (pixels[..., -1] != np.iinfo(pixels.dtype).max).any():
        raise SparseError(f"{file} is transparent in places; the values of a mask are labels")
    return channels[..., 0]
