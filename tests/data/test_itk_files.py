"""Damaged and short files of all formats that ITK reads, as images and as converters read them."""

import bz2
import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.itk_files import check_letters, voxels_name
from nnunet_sparse.data.itk_volumes import check_file, read_itk_image
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.system.errors import SparseError

VOXELS = np.random.default_rng(0).integers(-300, 300, (4, 20, 24)).astype(np.int16)
PLAIN = [".nrrd", ".nhdr", ".mha", ".mhd", ".gipl"]
FORMATS = [*itertools.product(PLAIN, [False]), *itertools.product(PLAIN[:4], [True])]
FORMATS.append((".gipl.gz", True))


def write(file: Path, compressed: bool = False) -> Path:
    """Write a volume, and return the file that holds its voxels."""
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((1, 1, 3))
    sitk.WriteImage(image, str(file), compressed)
    others = [path for path in file.parent.iterdir() if path != file]
    return others[0] if others else file


def write_bz2(file: Path) -> Path:
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 24 20 4\nendian: little\n"
    voxels = bz2.compress(VOXELS.astype("<i2").tobytes())
    file.write_bytes(f"{header}encoding: bzip2\n\n".encode() + voxels)
    return file


@pytest.mark.parametrize(("ending", "compressed"), FORMATS)
def test_whole_files(tmp_path: Path, ending: str, compressed: bool) -> None:
    write(tmp_path / f"a{ending}", compressed)
    check_file(tmp_path / f"a{ending}")
    image = read_itk_image(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), VOXELS)


@pytest.mark.parametrize(("ending", "compressed"), FORMATS)
@pytest.mark.parametrize("lost", [30, 300])
def test_short_files(
    tmp_path: Path, ending: str, compressed: bool, lost: int, capfd: pytest.CaptureFixture[str]
) -> None:
    voxels = write(tmp_path / f"a{ending}", compressed)
    voxels.write_bytes(voxels.read_bytes()[:-lost])
    with pytest.raises(SparseError, match=r"is truncated|is damaged|fread got only"):
        read_itk_image(tmp_path / f"a{ending}")
    assert capfd.readouterr() == ("", "")  # MetaImage would say something of its own


@pytest.mark.parametrize("ending", [".mha", ".mhd", ".gipl"])
def test_short_files_are_seen_by_their_headers(tmp_path: Path, ending: str) -> None:
    voxels = write(tmp_path / f"a{ending}")
    whole = voxels.stat().st_size
    voxels.write_bytes(voxels.read_bytes()[:-1])
    with pytest.raises(SparseError, match=rf"is truncated: {whole - 1} of {whole} bytes"):
        check_file(tmp_path / f"a{ending}")


@pytest.mark.parametrize("ending", [e for e, compressed in FORMATS if compressed])
@pytest.mark.parametrize("place", [0.3, 0.6, 0.98])
def test_damaged_bytes(
    tmp_path: Path, ending: str, place: float, capfd: pytest.CaptureFixture[str]
) -> None:
    voxels = write(tmp_path / f"a{ending}", compressed=True)
    content = bytearray(voxels.read_bytes())
    content[int(place * len(content))] ^= 0x55
    voxels.write_bytes(content)
    with pytest.raises(SparseError, match=r"is damaged|cannot be read"):
        read_itk_image(tmp_path / f"a{ending}")
    assert capfd.readouterr() == ("", "")


def test_other_compression_of_nrrd(tmp_path: Path) -> None:
    file = write_bz2(tmp_path / "a.nrrd")
    with pytest.raises(SparseError, match="bzip2"):  # ITK is built without it
        read_itk_image(file)
    content = bytearray(file.read_bytes())
    content[-400] ^= 0x55
    file.write_bytes(content)
    with pytest.raises(SparseError, match=r"a\.nrrd is damaged"):
        read_itk_image(file)


def test_fewer_voxels_than_the_header_says(tmp_path: Path) -> None:
    """Whole streams, of another volume."""
    few = VOXELS[:3].astype("<i2").tobytes()
    voxels = write(tmp_path / "a.nhdr", compressed=True)
    voxels.write_bytes(gzip.compress(few))
    with pytest.raises(SparseError, match=r"is truncated: 2880 of 3840 bytes"):
        read_itk_image(tmp_path / "a.nhdr")


@pytest.mark.parametrize(("ending", "compressed"), FORMATS[:-1])
def test_endings_in_capital_letters(tmp_path: Path, ending: str, compressed: bool) -> None:
    write(tmp_path / f"a{ending}", compressed)
    file = (tmp_path / f"a{ending}").rename(tmp_path / f"a{ending.upper()}")
    image = read_itk_image(file)
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), VOXELS)
    assert read_geometry(file, "SimpleITKIO").spacing_mm == (3, 1, 1)


@pytest.mark.parametrize("name", ["a.Nii", "a.Nii.Gz", "a.nii.GZ", "a.GIPL.GZ", "a.gipl.Gz"])
def test_endings_that_nobody_knows(tmp_path: Path, name: str) -> None:
    with pytest.raises(SparseError, match=f"under this name; call it {name.lower()}"):
        check_letters(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.NII.GZ", "a.gipl.gz", "a.Mha", "a.NRRD", "a.Gipl"])
def test_endings_that_are_known(tmp_path: Path, name: str) -> None:
    check_letters(tmp_path / name)


@pytest.mark.parametrize(("ending", "compressed"), FORMATS)
def test_data_sets_of_nnunet(tmp_path: Path, ending: str, compressed: bool) -> None:
    """Of which nnU-Net's reader would read a part."""
    voxels = write(tmp_path / f"a{ending}", compressed)
    file = tmp_path / f"a{ending}"
    np.testing.assert_array_equal(read_label(file, "SimpleITKIO"), VOXELS)
    voxels.write_bytes(voxels.read_bytes()[:-30])
    with pytest.raises(SparseError, match=r"is truncated|is damaged|fread got only"):
        read_label(file, "SimpleITKIO")
    with pytest.raises(SparseError, match=r"is truncated|is damaged|fread got only"):
        read_image((file,), "SimpleITKIO")


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_files_of_voxels(tmp_path: Path, ending: str) -> None:
    voxels = write(tmp_path / f"a{ending}")
    assert voxels_name(tmp_path / f"a{ending}") == voxels.name
    voxels.unlink()
    with pytest.raises(SparseError, match=r"which does not exist|cannot be read"):
        read_itk_image(tmp_path / f"a{ending}")


def into_parts(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace(
        "ElementDataFile = a.raw", "ElementDataFile = a%d.raw 1 4 1"
    )
    for k, plane in enumerate(VOXELS, 1):
        (file.parent / f"a{k}.raw").write_bytes(plane.tobytes())
    file.write_text(text, encoding="utf-8")


def with_a_header(file: Path) -> None:
    raw = file.with_suffix(".raw")
    raw.write_bytes(b"header" + raw.read_bytes())
    lines = file.read_text(encoding="utf-8").replace(
        "ElementDataFile", "HeaderSize = 6\nElementDataFile"
    )
    file.write_text(lines, encoding="utf-8")


@pytest.mark.parametrize("change", [into_parts, with_a_header])
def test_other_ways_of_keeping_voxels(tmp_path: Path, change: Callable[[Path], None]) -> None:
    write(tmp_path / "a.mhd")
    change(tmp_path / "a.mhd")
    image = read_itk_image(tmp_path / "a.mhd")
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), VOXELS)
