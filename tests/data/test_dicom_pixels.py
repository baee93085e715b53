"""Values of DICOM files against pydicom: stored numbers by slope and intercept, or by a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_files import CT, MR, PET, SCREENSHOT, picture, save, values_of, write_frames
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from nnunet_sparse.data.dicom_header import read_header
from nnunet_sparse.data.dicom_pixels import read_values
from nnunet_sparse.system.errors import SparseError

NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
# kinds of files, and where the standard lets them have their slope
ENHANCED = ["2.1", "2.2", "4.1", "4.3", "4.4", "130", "128.1", "6.2", "7.3", "12.1.1", "14.1"]
ENHANCED += ["13.1.1", "13.1.3", "77.1.5.4", "20"]


def as_encoded(data: Dataset, syntax: UID) -> Dataset:
    if syntax in {RLELossless, JPEGLSLossless}:
        data.compress(syntax)
    elif syntax == ExplicitVRBigEndian and data.BitsAllocated == 16:
        data.PixelData = np.frombuffer(data.PixelData, np.uint16).byteswap().tobytes()
    data.file_meta.TransferSyntaxUID = syntax
    return data


@settings(max_examples=60)
@given(
    st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    st.sampled_from(["i1", "u1", "i2", "u2"]),
    st.integers(0, 4),
    st.sampled_from([(), (1, 0), (1, -1024), (2, 3), (0.5, 7), (4.4, -0.25), (1, 0.5), (30, 0)]),
    st.sampled_from([*NATIVE, RLELossless, JPEGLSLossless]),
    st.sampled_from([CT, MR, PET, SCREENSHOT]),
)
def test_values_are_those_of_pydicom(
    tmp_path_factory: pytest.TempPathFactory,
    photometric: str,
    dtype: str,
    unused_bits: int,
    rescale: tuple[float, ...],
    syntax: UID,
    sop_class: str,
) -> None:
    size = np.dtype(dtype).itemsize
    limits = np.iinfo(dtype)
    ends = limits.min >> unused_bits, limits.max >> unused_bits
    stored = np.random.default_rng(0).integers(*ends, (25, 26), dtype, endpoint=True)
    stored.flat[:2] = ends
    data = picture(sop_class, stored)
    data.PhotometricInterpretation = photometric
    data.BitsStored, data.HighBit = 8 * size - unused_bits, 8 * size - unused_bits - 1
    if syntax == JPEGLSLossless and size == 1:
        assume(unused_bits == 0)  # which GDCM refuses
    if unused_bits:  # as files of scanners: without the sign above the highest bit
        mask = np.array(2**data.BitsStored - 1, f"u{size}")
        data.PixelData = (stored.view(f"u{size}") & mask).tobytes()
    if rescale:
        data.RescaleSlope, data.RescaleIntercept = rescale
    file = save(as_encoded(data, syntax), tmp_path_factory.mktemp("d") / "a.dcm")
    values = read_values(read_header(file))
    np.testing.assert_allclose(values[0], values_of(file), rtol=1e-6, atol=1e-6)
    if all(float(number).is_integer() for number in rescale):
        assert values.dtype.kind in "iu"
        assert values.dtype.itemsize <= 4


@pytest.mark.parametrize(
    ("dtype", "rescale", "expected"),
    [
        ("u1", (1, 0), "u1"),
        ("u2", (1, 0), "u2"),
        ("u1", (1, -1024), "i2"),
        ("i2", (1, -1024), "i4"),
        ("u2", (1, -1024), "i4"),
        ("u2", (70000, 0), "f4"),  # up to 4.6e9
        ("u1", (0.5, 0), "f4"),
        ("i1", (0, 7), "i2"),  # a slope of 0 says nothing
    ],
)
def test_types(tmp_path: Path, dtype: str, rescale: tuple[float, float], expected: str) -> None:
    stored = np.arange(12, dtype=dtype).reshape(3, 4)
    data = picture(CT, stored, RescaleSlope=rescale[0], RescaleIntercept=rescale[1])
    values = read_values(read_header(save(data, tmp_path / "a")))
    assert values.dtype == expected
    np.testing.assert_allclose(values[0], stored.astype(float) * (rescale[0] or 1) + rescale[1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rescale", [("1e308", "0"), ("1", "1e39"), ("-1e300", "1.5")])
def test_slopes_that_make_no_numbers(tmp_path: Path, rescale: tuple[str, str]) -> None:
    data = picture(CT, np.full((3, 4), 7, np.int16))
    data.RescaleSlope, data.RescaleIntercept = rescale
    with pytest.raises(SparseError, match="a is damaged: slope and intercept make"):
        read_values(read_header(save(data, tmp_path / "a")))


def in_shared_groups(data: Dataset, values: Dataset) -> None:
    data.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [values]


def in_groups_of_frames(data: Dataset, values: Dataset) -> None:
    for frame in data.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence = [values]


def at_the_top(data: Dataset, values: Dataset) -> None:
    data.update(values)


@pytest.mark.parametrize("where", [in_shared_groups, in_groups_of_frames, at_the_top])
@pytest.mark.parametrize("kind", ENHANCED)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_one_slope_of_all_frames(
    tmp_path: Path, where: Callable[[Dataset, Dataset], Any], kind: str, photometric: str
) -> None:
    stored = np.random.default_rng(1).integers(0, 4000, (3, 4, 5)).astype(np.uint16)
    file = write_frames(tmp_path / "a.dcm", stored, [[0, 0, 3 * k] for k in range(3)])
    data, values = pydicom.dcmread(file), Dataset()
    values.RescaleSlope, values.RescaleIntercept = 2.5, -1000
    where(data, values)
    data.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{kind}"
    data.PhotometricInterpretation = photometric
    save(data, file)
    np.testing.assert_array_equal(read_values(read_header(file)), stored * 2.5 - 1000)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_slopes_of_each_frame_whatever_the_compression(tmp_path: Path, syntax: UID) -> None:
    stored = np.random.default_rng(1).integers(-900, 900, (3, 4, 6)).astype(np.int16)
    rescale = [(1.0, 0.0), (2.5, -7.0), (300.0, 1.0)]
    file = write_frames(
        tmp_path / "a.dcm", stored, [[0, 0, 3 * k] for k in range(3)], rescale=rescale
    )
    save(as_encoded(pydicom.dcmread(file), syntax), file)
    expected = [
        plane * slope + offset for plane, (slope, offset) in zip(stored, rescale, strict=True)
    ]
    np.testing.assert_array_equal(read_values(read_header(file)), expected)


def test_values_from_a_table(tmp_path: Path) -> None:
    stored = np.array([[0, 1, 2], [3, 2, 7]], np.uint8)
    data, table = picture(CT, stored), Dataset()
    table.add_new("LUTDescriptor", "US", [4, 0, 16])
    table.add_new("LUTData", "US", [5, 700, 20, 60000])
    table.ModalityLUTType = "HU"
    data.ModalityLUTSequence = [table]
    file = save(data, tmp_path / "a.dcm")
    values = read_values(read_header(file))
    assert values[0].tolist() == [[5, 700, 20], [60000, 20, 60000]]
    read = pydicom.dcmread(file)
    oracle = apply_modality_lut(read.pixel_array, read)
    np.testing.assert_array_equal(values[0], oracle)


def test_pixels_that_cannot_be_decoded(tmp_path: Path) -> None:
    data = as_encoded(picture(CT, np.arange(3000).reshape(50, 60)), JPEGLSLossless)
    data.PixelData = pydicom.encaps.encapsulate([b"\0" * 70])
    file = save(data, tmp_path / "a.dcm")
    with pytest.raises(SparseError, match=r"a\.dcm (cannot be read|is damaged)"):
        read_values(read_header(file))
