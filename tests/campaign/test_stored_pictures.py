import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nnunet_sparse.campaign.stored_pictures import read_picture, read_tiff_stack
from nnunet_sparse.system.errors import SparseError

NUMBERS = np.array([[0, 1, 2, 3, 0], [1, 0, 0, 1, 2], [3, 3, 1, 0, 1]], np.uint8)
BINARY = (NUMBERS == 1).astype(np.uint8)
GREYS = bytes(value for i in range(256) for value in (i, i, i))
COLOURS = bytes(value for i in range(256) for value in (i, 255 - i, 7))
PALETTES = {"grey": GREYS, "colour": COLOURS, "inverted": GREYS[::-1]}
LIGHT_FIRST = bytes([255, 255, 255, 0, 0, 0])


def png(pixels: np.ndarray, bits: int, kind: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Numbers (row, column) or (row, column, channel), stored as they are."""
    rows, columns = pixels.shape[:2]
    flat = pixels.reshape(rows, -1)
    if bits < 8:
        digits = (flat[..., None] >> np.arange(bits)[::-1]) & 1
        lines = np.packbits(digits.reshape(rows, -1).astype(np.uint8), axis=1)
    else:
        lines = flat.astype(f">u{bits // 8}").view(np.uint8).reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, bits, kind, 0, 0, 0)
    data = zlib.compress(np.pad(lines, ((0, 0), (1, 0))).tobytes())  # filter 0 of each line
    parts = ((b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def bmp(pixels: np.ndarray, bits: int, palette: bytes, from_top: bool = False) -> bytes:
    """Indices (row, column) of a palette of red, green and blue."""
    rows, columns = pixels.shape
    digits = (pixels[..., None] >> np.arange(bits)[::-1]) & 1
    lines = np.packbits(digits.reshape(rows, -1).astype(np.uint8), axis=1)
    lines = np.pad(lines, ((0, 0), (0, -lines.shape[1] % 4)))
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)[:, ::-1]
    table = np.pad(colours, ((0, 0), (0, 1))).tobytes()
    start, height = 54 + len(table), -rows if from_top else rows
    info = struct.pack("<IiiHHIIiiII", 40, columns, height, 1, bits, 0, 0, 0, 0, len(colours), 0)
    body = (lines if from_top else lines[::-1]).tobytes()
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + table + body


def tiff(pixels: np.ndarray, dtype: str | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels.astype(dtype or pixels.dtype), metadata=None, **options)
    return stream.getvalue()


def colormap(palette: bytes) -> np.ndarray:
    return np.frombuffer(palette, np.uint8).reshape(-1, 3).T.astype(np.uint16) * 257


def transparent(pixels: np.ndarray, bits: int, palette: bytes | None = None) -> bytes:
    if palette is None:
        return png(pixels, bits, 0, (b"tRNS", b"\0\0"))
    return png(pixels, bits, 3, (b"PLTE", palette[: 3 * 2**bits]), (b"tRNS", b"\0\x80"))


def written(folder: Path, content: bytes) -> Path:
    file = folder / "mask.png"
    file.write_bytes(content)
    return file


STORED: dict[str, Callable[[np.ndarray], bytes]] = {
    **{f"png grey {bits}": partial(png, bits=bits, kind=0) for bits in (2, 4, 8, 16)},
    **{
        f"png grey {bits}, 0 transparent": partial(transparent, bits=bits) for bits in (2, 4, 8, 16)
    },
    **{
        f"png palette {bits} {name}": partial(transparent, bits=bits, palette=palette)
        for bits in (2, 4, 8)
        for name, palette in PALETTES.items()
    },
    "png grey and opaque": lambda n: png(np.stack([n, n * 0 + 255], axis=-1), 8, 4),
    "png equal channels": lambda n: png(np.stack([n, n, n], axis=-1), 8, 2),
    **{
        f"bmp {bits} {name} {top}": partial(
            bmp, bits=bits, palette=palette[: 3 * 2**bits], from_top=top
        )
        for bits in (4, 8)
        for name, palette in PALETTES.items()
        for top in (False, True)
    },
    # black and white and two greys, of which libraries take two for the pixel's bits
    "bmp 8 of two colours": lambda n: bmp(n, 8, bytes([0, 0, 0, 255, 255, 255])),
    **{
        f"tiff {name} {bits}": partial(tiff, bitspersample=bits, photometric=name)
        for name in ("minisblack", "miniswhite")
        for bits in (2, 4, 8)
    },
    **{
        f"tiff {name} {dtype}": partial(tiff, dtype=dtype, photometric=name)
        for name in ("minisblack", "miniswhite")
        for dtype in ("u2", "i2", "u4", "i4", "f4", ">u2")
    },
    **{
        f"tiff palette {name}": partial(tiff, photometric="palette", colormap=colormap(palette))
        for name, palette in PALETTES.items()
    },
    **{f"tiff {how}": partial(tiff, compression=how) for how in ("zlib", "lzw", "packbits")},
    "tiff planes of 16 bits": lambda n: tiff(
        np.stack([n] * 3).astype(np.uint16), photometric="rgb", planarconfig="separate"
    ),
    "tiff of large files": partial(tiff, bigtiff=True),
}


@pytest.mark.parametrize("kind", STORED)
def test_numbers_as_they_are_stored(tmp_path: Path, kind: str) -> None:
    numbers = read_picture(written(tmp_path, STORED[kind](NUMBERS)))
    assert numbers.dtype.kind in "iu"
    np.testing.assert_array_equal(numbers, NUMBERS)


@given(st.data())
def test_any_numbers_of_any_bits(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    bits = data.draw(st.sampled_from([1, 2, 4, 8]))
    columns = data.draw(st.integers(1, 20))
    values = st.lists(st.integers(0, 2**bits - 1), min_size=3 * columns, max_size=3 * columns)
    numbers = np.array(data.draw(values), np.uint8).reshape(3, columns)
    palette = data.draw(st.sampled_from([GREYS, COLOURS]))[: 3 * 2**bits]
    folder = tmp_path_factory.getbasetemp()
    for content in (
        png(numbers, bits, 0),
        png(numbers, bits, 3, (b"PLTE", palette)),
        bmp(numbers, bits, palette) if bits != 2 else png(numbers, bits, 0),
        tiff(numbers if bits > 1 else numbers.astype(bool), bitspersample=bits),
    ):
        np.testing.assert_array_equal(read_picture(written(folder, content)), numbers)


@pytest.mark.parametrize(
    "content",
    [
        png(BINARY, 1, 0),
        png(BINARY, 1, 3, (b"PLTE", COLOURS[:6])),
        bmp(BINARY, 1, bytes([0, 0, 0, 255, 255, 255])),
        bmp(BINARY, 1, COLOURS[:6]),
        tiff(BINARY.astype(bool)),
    ],
)
def test_bits(tmp_path: Path, content: bytes) -> None:
    np.testing.assert_array_equal(read_picture(written(tmp_path, content)), BINARY)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (tiff(BINARY.astype(bool), software="scan"), "interpretation is white is zero"),
        (
            tiff(BINARY * 255, software="scan", photometric="miniswhite"),
            "interpretation is white is zero",
        ),
        (
            tiff(BINARY * 65535.0, "u2", software="", photometric="miniswhite"),
            "interpretation is white is zero",
        ),
        (png(BINARY, 1, 3, (b"PLTE", LIGHT_FIRST)), "palette has white first"),
        (bmp(BINARY, 1, LIGHT_FIRST), "palette has white first"),
    ],
)
def test_black_and_white_in_which_0_is_white_is_refused(
    tmp_path: Path, content: bytes, why: str
) -> None:
    refused(written(tmp_path, content), f"mask.png is black and white, and 0 is white .*{why}")


def test_pillow_inverts_what_it_writes(tmp_path: Path) -> None:
    for numbers in (BINARY * 255, BINARY * 0, BINARY * 0 + 255):
        stream = io.BytesIO()
        Image.fromarray(numbers).save(stream, "TIFF", tiffinfo={262: 0})
        refused(written(tmp_path, stream.getvalue()), "white is zero")


def test_programs_that_store_the_numbers_of_labels(tmp_path: Path) -> None:
    """ImageJ with its inverting LUT, and tifffile."""
    for options in ({}, {"software": "", "description": "ImageJ=1.54f\n"}):
        content = tiff(BINARY * 255, photometric="miniswhite", **options)
        np.testing.assert_array_equal(read_picture(written(tmp_path, content)), BINARY * 255)
    content = tiff(NUMBERS, photometric="miniswhite", software="scan")
    np.testing.assert_array_equal(read_picture(written(tmp_path, content)), NUMBERS)


def refused(file: Path, message: str) -> None:
    with pytest.raises(SparseError, match=message):
        read_picture(file)


def of_pillow(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(BINARY * 255).convert(options.pop("mode", "L")).save(stream, kind, **options)
    return stream.getvalue()


# the orientation 6 as the only entry
TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06" + bytes(6)
HALF = tiff(
    np.stack([NUMBERS] * 3 + [0 * NUMBERS], -1), photometric="rgb", extrasamples=["unassalpha"]
)
REFUSED = {
    # Pillow keeps the upper 8 bits, 0 of all these numbers
    "16 bits": (png(np.stack([NUMBERS] * 3, axis=-1), 16, 2), "colours of 16 bits"),
    "16 bits and alpha": (png(np.stack([NUMBERS] * 2, axis=-1), 16, 4), "colours of 16 bits"),
    "jpeg": (of_pillow("JPEG"), "is a file of the format JPEG"),
    "tiff of jpeg": (of_pillow("TIFF", compression="jpeg"), "compressed as JPEG"),
    "tiff of jpeg in colour": (
        of_pillow("TIFF", mode="RGB", compression="jpeg"),
        "compressed as JPEG",
    ),
    "tiff for print": (of_pillow("TIFF", mode="CMYK"), "interpretation SEPARATED"),
    "tiff turned": (of_pillow("TIFF", tiffinfo={274: 3}), "shown turned .orientation 3."),
    "png turned": (of_pillow("PNG", exif=TURNED), "shown turned .orientation 6."),
    "bmp of 16 bits": (bmp(NUMBERS.astype(np.uint16), 16, b""), "is BMP of 16 bits"),
    "fractions": (tiff(NUMBERS / 2), "label value 0.5, not a whole number"),
    "two pictures": (tiff(np.stack([NUMBERS] * 2), photometric="minisblack"), "holds 2 pictures"),
    "transparent": (HALF, "is transparent in places"),
    "colour": (tiff(np.stack([NUMBERS, NUMBERS, NUMBERS * 0], -1), photometric="rgb"), "coloured"),
    "half a tiff": (tiff(NUMBERS)[:-9], "cannot be read as a picture"),
    "half a packed tiff": (tiff(NUMBERS, compression="zlib")[:-9], "cannot be read as a picture"),
    "half a bmp": (bmp(NUMBERS, 8, GREYS)[:-9], "cannot be read as a picture"),
    "half a png": (png(NUMBERS, 8, 0)[:-25], "cannot be read as a picture"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_say_which_numbers_it_holds_is_refused(tmp_path: Path, kind: str) -> None:
    content, message = REFUSED[kind]
    refused(written(tmp_path, content), f"mask.png .*{message}")


@pytest.mark.parametrize("name", ["minisblack", "miniswhite", "palette"])
def test_stacks(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {"colormap": colormap(COLOURS)} if name == "palette" else {}
    stack = np.stack([NUMBERS, NUMBERS * 2 % 3, NUMBERS * 0, NUMBERS])
    file = written(tmp_path, tiff(stack, photometric=name, **options))
    np.testing.assert_array_equal(read_tiff_stack(file), stack)


@pytest.mark.parametrize("metadata", [None, {}])
def test_stacks_that_were_written_page_by_page(tmp_path: Path, metadata: Any) -> None:
    stack = np.stack([NUMBERS, NUMBERS * 2 % 3, NUMBERS * 0, NUMBERS])
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane in stack:
            writer.write(plane, metadata=metadata)
    np.testing.assert_array_equal(read_tiff_stack(tmp_path / "a.tif"), stack)
    first, *others = [Image.fromarray(plane) for plane in stack]
    first.save(tmp_path / "b.tif", save_all=True, append_images=others)
    np.testing.assert_array_equal(read_tiff_stack(tmp_path / "b.tif"), stack)
    with tifffile.TiffWriter(tmp_path / "c.tif") as writer:
        writer.write(NUMBERS)
        writer.write(NUMBERS[:2])
    with pytest.raises(SparseError, match=r"pictures of several sizes: \(2, 5\), \(3, 5\)"):
        read_tiff_stack(tmp_path / "c.tif")


def test_bits_in_which_0_is_white_are_taken_from_programs_of_python_alone(tmp_path: Path) -> None:
    stack = np.stack([NUMBERS, NUMBERS]) > 0
    np.testing.assert_array_equal(read_tiff_stack(written(tmp_path, tiff(stack))), stack)
    file = written(tmp_path, tiff(stack, software="scan"))
    with pytest.raises(SparseError, match=r"mask\.png is black and white, and 0 is white"):
        read_tiff_stack(file)
