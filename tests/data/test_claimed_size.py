"""Headers that claim more than their file holds, and files that hold as much as can be."""

import gzip
import os
import struct
import zlib
from pathlib import Path

import dicom_files
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from pydicom.uid import DeflatedExplicitVRLittleEndian

from nnunet_sparse.data import claimed_size
from nnunet_sparse.data.claimed_size import check_claim, check_text
from nnunet_sparse.data.dicom_header import read_header
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.itk_files import held_bytes
from nnunet_sparse.data.itk_volumes import read_itk_volume
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.system.errors import SparseError

SIDE = 1000  # 10^9 voxels
NRRD = "NRRD0004\ntype: {}\ndimension: 3\nsizes: {}\nspace: LPS\nendian: little\nencoding: {}\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = {0} {0} {0}\nElementType = {1}\n"
READER = {"nii": "SimpleITKIO", "tif": "Tiff3DIO", "tiff": "Tiff3DIO"}


def nifti(dtype: type = np.float64, version: type = nibabel.Nifti1Image) -> bytes:
    header = version.header_class()
    header.set_data_shape((SIDE,) * 3)
    header.set_data_dtype(dtype)
    header["vox_offset"] = header.single_vox_offset
    header.set_sform(np.eye(4), 1)
    return bytes(header.binaryblock) + bytes(4)


def gipl() -> bytes:
    content = bytearray(256)
    struct.pack_into(">4H H 4f", content, 0, SIDE, SIDE, SIDE, 1, 64, 1, 1, 1, 1)
    struct.pack_into(">I", content, 252, 0x2AE389B8)
    return bytes(content)


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


CLAIMS = {
    "a.nii.gz": gzip.compress(nifti()),
    "b.nii.gz": gzip.compress(nifti(np.uint8, nibabel.Nifti2Image)),
    "a.nii": nifti(),
    "a.nrrd": NRRD.format("double", f"{SIDE} {SIDE} {SIDE}", "gzip").encode() + b"\n\x1f\x8b",
    "b.nrrd": NRRD.format("uchar", f"{SIDE} {SIDE} {SIDE}", "raw").encode() + b"\n12345",
    "a.mha": (META + "CompressedData = True\nElementDataFile = LOCAL\n")
    .format(SIDE, "MET_DOUBLE")
    .encode(),
    "a.gipl": gipl(),
    "a.gipl.gz": gzip.compress(gipl()),
    "a.png": png(),
}  # fmt: skip


def write_tiff(file: Path) -> None:
    tifffile.imwrite(file, np.zeros((4, 8, 8), np.uint8))
    with tifffile.TiffFile(file, mode="r+b") as opened:
        for page in opened.pages:
            page.tags["ImageWidth"].overwrite(2**20)
            page.tags["ImageLength"].overwrite(2**20)


@pytest.fixture
def written(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of ``CLAIMS``, or a TIFF."""
    file = tmp_path / request.param
    if request.param.endswith("tif"):
        write_tiff(file)
    else:
        file.write_bytes(CLAIMS[request.param])
    return file


@pytest.mark.parametrize("written", [*CLAIMS, "a.tif"], indirect=True)
def test_more_than_the_file_can_hold_is_refused(written: Path) -> None:
    with pytest.raises(SparseError, match=r"is damaged: its \d+ bytes cannot hold the \d{9,} "):
        check_claim(written)


@pytest.mark.parametrize(
    "written", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.tif"], indirect=True
)
def test_every_way_of_reading_looks_at_the_claim(written: Path) -> None:
    """Before memory is set aside: it would be 8 GB."""
    reader = READER.get(written.name.split(".")[1], "SimpleITKIO")
    ways = [
        lambda: read_geometry(written, reader),
        lambda: read_label(written, reader),
        lambda: read_image((written,), reader),
    ]
    if reader != "Tiff3DIO":
        ways.append(lambda: read_itk_volume(written))
    for way in ways:
        with pytest.raises(SparseError, match="cannot hold"):
            way()


def test_voxels_beside_the_header_are_counted(tmp_path: Path) -> None:
    for name, text in {
        "a.nhdr": NRRD.format("uchar", f"{SIDE} {SIDE} 8", "raw") + "data file: voxels.raw\n",
        "a.mhd": META.format(200, "MET_UCHAR") + "ElementDataFile = voxels.raw\n",
    }.items():
        file = tmp_path / name
        file.write_text(text)
        (tmp_path / "voxels.raw").write_bytes(b"1234")
        with pytest.raises(SparseError, match="cannot hold"):
            check_claim(file)
        (tmp_path / "voxels.raw").write_bytes(bytes(10**6))
        check_claim(file)


@pytest.mark.parametrize(
    "name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.gipl.gz", "a.tif", "b.tif", "c.tif"]
)
def test_what_is_compressed_most_is_taken(tmp_path: Path, name: str) -> None:
    """Zeros, of which gzip writes the fewest bytes."""
    file, voxels = tmp_path / name, np.zeros((150, 200, 200), np.uint16)
    compressions = {"a.tif": "deflate", "b.tif": "lzw", "c.tif": "packbits"}
    if name in compressions:
        tifffile.imwrite(file, voxels, compression=compressions[name])
    elif name == "a.nii.gz":
        nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), tmp_path / "a.nii")
        file.write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes(), 9))
    else:
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(file), useCompression=True)
    check_claim(file)


def test_what_is_missing_damaged_or_no_image_is_left_to_its_reader(tmp_path: Path) -> None:
    for name, content in {
        "a.nii.gz": b"garbage",
        "a.nrrd": b"",
        "a.txt": b"",
        "a.tif": b"II",
    }.items():
        (tmp_path / name).write_bytes(content)
        check_claim(tmp_path / name)
    check_claim(tmp_path / "missing.nii.gz")


def test_names_that_are_no_text_are_refused_before_itk_ends_the_process(tmp_path: Path) -> None:
    file = tmp_path / "a\udcff.nrrd"
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkUInt8), str(tmp_path / "a.nrrd"))
    (tmp_path / "a.nrrd").rename(file)
    for way in (
        check_text,
        check_claim,
        read_itk_volume,
        lambda f: read_geometry(f, "SimpleITKIO"),
    ):
        with pytest.raises(SparseError, match=r"a\\udcff\.nrrd' is no name in UTF-8"):
            way(file)


NHDR = NRRD.format("uchar", "4 4 4", "raw") + "data file: {}\n"
MHD = META.format(4, "MET_UCHAR") + "ElementDataFile = {}\n"


@pytest.mark.parametrize(("name", "header"), [("a.nhdr", NHDR), ("a.mhd", MHD)])
@pytest.mark.parametrize("voxels", ["pipe", "zeros", "/dev/zero", "LIST\na.raw\npipe", "folder"])
def test_voxels_that_are_no_file_are_not_waited_for(
    tmp_path: Path, name: str, header: str, voxels: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "a.raw").write_bytes(bytes(64))
    (tmp_path / name).write_text(header.format(voxels))
    with pytest.raises(SparseError, match=rf"{name} keeps its voxels in .*, which is no file"):
        read_itk_volume(tmp_path / name)


@pytest.mark.parametrize(("name", "header"), [("a.nhdr", NHDR), ("a.mhd", MHD)])
@pytest.mark.parametrize("voxels", ["{}/secret", "../secret", "b/../../secret", "LIST\n../secret"])
def test_no_file_of_this_machine_becomes_an_image(
    tmp_path: Path, name: str, header: str, voxels: str
) -> None:
    """A header of strangers may name any file; links are of those who lay them."""
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(64))
    (folder / name).write_text(header.format(voxels.format(tmp_path)))
    with pytest.raises(SparseError, match=r"secret, outside its own folder; save both in one file"):
        read_itk_volume(folder / name)
    (folder / "b" / "a.raw").symlink_to(tmp_path / "secret")
    (folder / name).write_text(header.format("b/a.raw"))
    assert read_itk_volume(folder / name).GetSize() == (4, 4, 4)


@pytest.mark.parametrize("given", ["11", "999999999", "0", "-1", "x", "9" * 400])
def test_more_dimensions_than_itk_has_room_for(tmp_path: Path, given: str) -> None:
    file = tmp_path / "a.mha"
    file.write_text(META.format(4, "MET_UCHAR").replace("NDims = 3", f"NDims = {given}"))
    with file.open("ab") as opened:
        opened.write(b"ElementDataFile = LOCAL\n" + bytes(64))
    with pytest.raises(SparseError, match=r"a\.mha is damaged: it claims '.* dimensions"):
        read_itk_volume(file)


def test_headers_that_itk_would_read_for_minutes(tmp_path: Path) -> None:
    file = tmp_path / "a.nrrd"
    keys = "".join(f"key{number}:=x\n" for number in range(200_000))
    file.write_bytes((NRRD.format("uchar", "4 4 4", "raw") + keys).encode() + b"\n" + bytes(64))
    with pytest.raises(SparseError, match=r"a\.nrrd is damaged: its header has over 10000 lines"):
        read_itk_volume(file)


@pytest.mark.parametrize("ending", ["nrrd", "mha", "gipl"])
def test_what_is_not_compressed_holds_what_it_claims(tmp_path: Path, ending: str) -> None:
    heads = {
        "nrrd": NRRD.format("double", "1000 1000 1000", "raw").encode() + b"\n",
        "mha": (META + "ElementDataFile = LOCAL\n").format(SIDE, "MET_DOUBLE").encode(),
        "gipl": gipl(),
    }
    file = tmp_path / f"a.{ending}"
    file.write_bytes(heads[ending] + bytes(10**6))
    with pytest.raises(SparseError, match="cannot hold"):
        check_claim(file)


def test_voxels_in_several_files_are_added_up(tmp_path: Path) -> None:
    parts = [tmp_path / f"part{number}.raw" for number in range(4)]
    for part in parts:
        part.write_bytes(bytes(16))
    names = "\n".join(part.name for part in parts)
    for voxels in (f"LIST 2\n{names}", "part%d.raw 0 3 1 2"):
        (tmp_path / "a.nhdr").write_text(NHDR.format(voxels))
        check_claim(tmp_path / "a.nhdr")
        assert held_bytes(tmp_path / "a.nhdr") >= 64
        (tmp_path / "a.nhdr").write_text(NHDR.format(voxels).replace("4 4 4", "1000 1000 4"))
        with pytest.raises(SparseError, match="cannot hold"):
            check_claim(tmp_path / "a.nhdr")


def test_deflated_dicom_is_counted_before_it_is_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dicom_files.picture(dicom_files.CT, np.zeros((300, 300), np.int16))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = dicom_files.save(data, tmp_path / "a.dcm")
    assert file.stat().st_size < 2000
    monkeypatch.setattr(claimed_size, "_AT_ONCE", 1000)
    monkeypatch.setattr(claimed_size, "_MOST_INFLATED", 181_000)
    assert read_header(file).size == (300, 300)
    monkeypatch.setattr(claimed_size, "_MOST_INFLATED", 180_000)
    with pytest.raises(SparseError, match=r"a\.dcm holds more than 180000 bytes"):
        read_header(dicom_files.save(data, tmp_path / "again" / "a.dcm"))
    monkeypatch.undo()
    damaged = bytearray(file.read_bytes())
    damaged[-40:] = bytes(40)
    (tmp_path / "b.dcm").write_bytes(damaged)
    with pytest.raises(SparseError, match=r"b\.dcm is damaged"):
        read_header(tmp_path / "b.dcm")
