import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from campaign.conftest import CampaignWriter
from dicom_files import positions_along, write_slices
from published_trees import write_series
from tiny import write_volume

from nnunet_sparse.campaign.images import bring_image, check_images, look_at
from nnunet_sparse.data.geometry import geometry_of, read_geometry
from nnunet_sparse.system.errors import SparseError

TURNED = np.array([[0, -1, 0], [0.8, 0, 0.6], [-0.6, 0, 0.8]])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    file = tmp_path / "campaign" / "images" / "a_0000.nii.gz"
    file.parent.mkdir(parents=True)
    return file


def written(file: Path, array: np.ndarray) -> Path:
    write_volume(file, array)
    return file


def oblique() -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    image.SetSpacing((0.7, 1.5, 4.0))
    image.SetOrigin((-20.5, 3.25, 100))
    image.SetDirection(TURNED.ravel().tolist())
    return image


def test_compressed_nifti_is_linked(tmp_path: Path, target: Path) -> None:
    source = written(tmp_path / "scans" / "a.nii.gz", np.zeros((2, 3, 4), np.float32))
    bring_image(source, target)
    assert target.is_symlink()
    assert target.samefile(source)
    assert not Path(target.readlink()).is_absolute()


def test_a_copy_is_another_file(tmp_path: Path, target: Path) -> None:
    source = written(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), np.float32))
    bring_image(source, target, copy=True)
    assert not target.is_symlink()
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_what_is_there_stays_even_a_broken_link(tmp_path: Path, target: Path, name: str) -> None:
    source = written(tmp_path / name, np.zeros((2, 3, 4), np.float32))
    target.symlink_to("gone")
    bring_image(source, target)
    assert target.readlink() == Path("gone")
    assert not (target.parent / "gone").exists()


def test_plain_nifti_keeps_every_byte(tmp_path: Path, target: Path) -> None:
    source = written(tmp_path / "a.nii", np.zeros((2, 3, 4), np.float32))
    bring_image(source, target)
    first = target.read_bytes()
    assert gzip.decompress(first) == source.read_bytes()
    target.unlink()
    bring_image(source, target)
    assert target.read_bytes() == first


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_other_formats_keep_their_geometry(tmp_path: Path, target: Path, ending: str) -> None:
    sitk.WriteImage(oblique(), str(tmp_path / f"a{ending}"))
    bring_image(tmp_path / f"a{ending}", target)
    found = sitk.ReadImage(str(target))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), np.arange(60).reshape(3, 4, 5))
    np.testing.assert_allclose(found.GetSpacing(), (0.7, 1.5, 4.0), rtol=1e-6)
    np.testing.assert_allclose(found.GetOrigin(), (-20.5, 3.25, 100), atol=1e-4)
    np.testing.assert_allclose(found.GetDirection(), TURNED.ravel(), atol=1e-6)


@pytest.mark.parametrize("ending", [".mhd", ".NRRD", ".MHD", ".MHA", ".NHDR", ".GIPL"])
def test_endings_in_any_letters(tmp_path: Path, target: Path, ending: str) -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"a{ending.lower()}"))
    (tmp_path / f"a{ending.lower()}").rename(tmp_path / f"a{ending}")
    geometry, _ = bring_image(tmp_path / f"a{ending}", target)
    assert geometry.shape == array.shape
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(target))), array)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_sheared_volumes_stay_so_and_are_for_nibabel(
    tmp_path: Path, target: Path, ending: str
) -> None:
    image = oblique()
    image.SetDirection((TURNED @ [[1, 0, 0], [0, 1, 0.6], [0, 0, 0.8]]).ravel().tolist())
    file = tmp_path / f"a{ending}"
    sitk.WriteImage(image, str(file))
    told, reader = look_at(file)
    assert reader == "NibabelIO"
    assert bring_image(file, target)[1] == reader
    found = read_geometry(target, reader)
    assert found.shift_voxels(geometry_of(image)) < 1e-4
    assert told.shift_voxels(found) < 1e-4
    with pytest.raises(SparseError, match="orthonormal"):
        read_geometry(target, "SimpleITKIO")


@pytest.mark.parametrize("ending", [".gipl", ".gipl.gz", ".mha"])
def test_short_files_are_refused(tmp_path: Path, target: Path, ending: str) -> None:
    """ITK fills up what is missing of GIPL."""
    file = tmp_path / f"a{ending}"
    sitk.WriteImage(oblique(), str(file))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(SparseError, match=rf"a{ending} is (truncated|damaged)"):
        bring_image(file, target)
    assert not target.exists()


def test_dicom_without_endings(tmp_path: Path, target: Path) -> None:
    array = np.arange(60).reshape(3, 4, 5)
    write_series(tmp_path / "series", array, (0.7, 1.5, 4), (-20.5, 3.25, 100), TURNED)
    for number, file in enumerate(sorted((tmp_path / "series").iterdir())):
        file.rename(file.with_name(f"IM{number:04d}"))
    bring_image(tmp_path / "series", target)
    found = sitk.ReadImage(str(target))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), array)
    np.testing.assert_allclose(found.GetOrigin(), (-20.5, 3.25, 100), atol=1e-3)
    np.testing.assert_allclose(found.GetDirection(), TURNED.ravel(), atol=1e-5)


def test_a_dicom_file_stands_for_its_series(tmp_path: Path, target: Path) -> None:
    planes = np.arange(40, dtype=np.int16).reshape(2, 4, 5)
    for step in (1, 2):
        write_slices(tmp_path / "p", planes * step, positions_along(2, step), name=f"{step}_{{}}")
    told, reader = bring_image(tmp_path / "p" / "2_1", target)
    found = sitk.ReadImage(str(target))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), planes * 2)
    np.testing.assert_allclose(read_geometry(target, reader).affine, told.affine, atol=1e-6)
    assert found.GetSpacing() == (1, 1, 2)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a_0000.tif", "series"])
def test_headers_tell_the_geometry(tmp_path: Path, target: Path, name: str) -> None:
    source, image = tmp_path / name, oblique()
    if name == "series":
        array = sitk.GetArrayFromImage(image)
        write_series(source, array, image.GetSpacing(), image.GetOrigin(), TURNED)
    elif name.endswith(".tif"):
        tifffile.imwrite(source, sitk.GetArrayFromImage(image))
        (tmp_path / "a.json").write_text('{"spacing": [4.0, 1.5, 0.7]}')
    else:
        sitk.WriteImage(image, str(source))
    told, reader = look_at(source)
    bring_image(source, target)
    found = read_geometry(target, reader)
    assert (told.shape, told.num_channels) == (found.shape, 1)
    np.testing.assert_allclose(told.affine, found.affine, atol=1e-4)


@pytest.mark.parametrize("dtype", [">u2", np.float16, np.float64, np.int64, bool])
def test_tiff(tmp_path: Path, target: Path, dtype: str) -> None:
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    tifffile.imwrite(tmp_path / "a_0000.tif", array, byteorder=np.dtype(dtype).byteorder)
    (tmp_path / "a.json").write_text('{"spacing": [4.0, 1.5, 0.7]}')
    bring_image(tmp_path / "a_0000.tif", target)
    found = sitk.ReadImage(str(target))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), array)
    np.testing.assert_allclose(found.GetSpacing(), (0.7, 1.5, 4.0), rtol=1e-6)
    np.testing.assert_allclose(found.GetDirection(), np.eye(3).ravel())


def test_tiff_without_spacing(
    tmp_path: Path, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tifffile.imwrite(tmp_path / "a_0000.tif", np.zeros((3, 4, 5), np.uint8))
    bring_image(tmp_path / "a_0000.tif", target)
    assert sitk.ReadImage(str(target)).GetSpacing() == (1, 1, 1)
    assert "there is no a.json with its spacing; 1 mm is taken" in caplog.text
    (tmp_path / "a.json").write_text('{"spacing": [4.0, 0, 0.7]}')
    with pytest.raises(SparseError, match=r"a\.json gives the spacing \(4\.0, 0\.0, 0\.7\)"):
        look_at(tmp_path / "a_0000.tif")


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ([("R", "u1"), ("G", "u1"), ("B", "u1")], "holds colours, not one number per voxel"),
        (np.complex64, "holds complex numbers, not"),
    ],
)
def test_nifti_that_holds_no_numbers(
    tmp_path: Path, target: Path, dtype: Any, message: str
) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), dtype), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(SparseError, match=message):
        bring_image(tmp_path / "a.nii.gz", target)


def test_complex_numbers_elsewhere(tmp_path: Path, target: Path) -> None:
    sitk.WriteImage(sitk.Image(3, 4, 5, sitk.sitkComplexFloat32), str(tmp_path / "a.nrrd"))
    with pytest.raises(SparseError, match=r"a\.nrrd does not hold numbers"):
        bring_image(tmp_path / "a.nrrd", target)


@pytest.mark.parametrize("copy", [False, True])
def test_endings_in_capitals(tmp_path: Path, target: Path, copy: bool) -> None:
    source = written(tmp_path / "a.nii.gz", np.ones((2, 3, 4), np.float32))
    source = source.rename(tmp_path / "A.NII.GZ")
    bring_image(source, target, copy)
    assert target.is_symlink() != copy
    assert target.read_bytes() == source.read_bytes()


def test_missing_images(tmp_path: Path, target: Path, write_campaign: CampaignWriter) -> None:
    with pytest.raises(SparseError, match=r"a\.nii\.gz does not exist"):
        bring_image(tmp_path / "a.nii.gz", target)
    campaign = write_campaign({"a": (0,), "b": (1,)}, channels=("T1", "T2"))
    check_images(campaign)
    image = campaign.image_files("b")[1]
    image.unlink()
    with pytest.raises(SparseError, match=r"images/b_0001\.nii\.gz does not exist; put"):
        check_images(campaign)
    image.symlink_to("../../scans/b.nii.gz")
    gone = tmp_path.resolve() / "scans" / "b.nii.gz"
    with pytest.raises(SparseError, match=rf"b_0001\.nii\.gz points to {gone}, which is gone; put"):
        check_images(campaign)


def test_several_volumes_in_a_file(tmp_path: Path, target: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4, 2)), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(SparseError, match="holds 2 volumes; nnU-Net needs a file for each"):
        bring_image(tmp_path / "a.nii.gz", target)


def test_truncated(tmp_path: Path, target: Path) -> None:
    source = written(tmp_path / "a.nii.gz", np.ones((9, 9, 9), np.float32))
    source.write_bytes(source.read_bytes()[:-30])
    with pytest.raises(SparseError, match=r"a\.nii\.gz is damaged"):
        bring_image(source, target)
    assert list(target.parent.iterdir()) == []


def test_colours(tmp_path: Path, target: Path) -> None:
    image = sitk.Compose(oblique(), oblique())
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(SparseError, match="several values per voxel"):
        bring_image(tmp_path / "a.nrrd", target)
