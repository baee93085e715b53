import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nifti_forms import PLACE, SHAPE

from nnunet_sparse.campaign.images import bring_image, look_at
from nnunet_sparse.campaign.label_volume import read_volume_file
from nnunet_sparse.campaign.nifti1 import is_convertible, nifti1_header
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.data.geometry import read_geometry

VOXELS = np.arange(np.prod(SHAPE)).reshape(SHAPE)


def write_nifti2(file: Path, dtype: str = "<f4", codes: tuple[int, int] = (1, 2)) -> Path:
    image = nibabel.Nifti2Image(VOXELS.astype(dtype), None)
    image.header.set_xyzt_units("mm")
    image.set_sform(PLACE, codes[1])
    image.set_qform(PLACE @ np.diag([-1, 1, 1, 1]), codes[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, file)
    return file


@pytest.mark.parametrize("dtype", ["<f4", "u1", "<i2", ">i2", ">f8"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_what_itk_opens_afterwards_is_what_nibabel_read_before(
    tmp_path: Path, dtype: str, ending: str
) -> None:
    source, target = write_nifti2(tmp_path / f"a{ending}", dtype), tmp_path / "i" / "a_0000.nii.gz"
    target.parent.mkdir()
    before = source.read_bytes()
    found, reader = bring_image(source, target)
    assert source.read_bytes() == before
    assert reader == "SimpleITKIO"
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(target))), VOXELS.T)
    old, new = nibabel.load(source), nibabel.load(target)
    np.testing.assert_allclose(new.get_qform(), old.get_qform(), atol=1e-5)
    np.testing.assert_allclose(new.affine, old.affine, rtol=1e-6)
    for name in ("qform_code", "sform_code", "xyzt_units", "datatype"):
        assert new.header[name] == old.header[name]
    np.testing.assert_array_equal(found.affine, read_geometry(target, "SimpleITKIO").affine)
    again = tmp_path / "i" / "b_0000.nii.gz"
    bring_image(source, again)
    assert again.read_bytes() == target.read_bytes()


def test_scaled_voxels_keep_factor_and_offset(tmp_path: Path) -> None:
    source = write_nifti2(tmp_path / "a.nii", "<i2")
    content = bytearray(source.read_bytes())
    header: Any = nibabel.load(source).header
    for key, value in (("scl_slope", 0.5), ("scl_inter", -3.0)):
        offset = header.structarr.dtype.fields[key][1]
        content[offset : offset + 8] = np.float64(value).tobytes()
    source.write_bytes(content)
    target = tmp_path / "a_0000.nii.gz"
    bring_image(source, target)
    np.testing.assert_array_equal(np.asanyarray(nibabel.load(target).dataobj), VOXELS * 0.5 - 3)


def test_sizes_that_do_not_fit_stay_as_they_are(tmp_path: Path) -> None:
    long = nibabel.Nifti2Image(np.zeros((40_000, 1, 2), np.uint8), np.eye(4))
    nibabel.save(long, tmp_path / "a.nii")
    assert not is_convertible(tmp_path / "a.nii")
    geometry, reader = look_at(tmp_path / "a.nii")
    assert (geometry.shape, reader) == ((2, 1, 40_000), "NibabelIO")
    target = tmp_path / "a_0000.nii.gz"
    bring_image(tmp_path / "a.nii", target)
    assert gzip.decompress(target.read_bytes()) == (tmp_path / "a.nii").read_bytes()


def test_a_header_of_version_1_has_348_bytes(tmp_path: Path) -> None:
    header = nifti1_header(write_nifti2(tmp_path / "a.nii"))
    assert len(header) == 352
    assert int.from_bytes(header[:4], "little") == 348


def test_labels_of_version_2_are_read(tmp_path: Path) -> None:
    file = write_nifti2(tmp_path / "a.nii", "u1")
    label, geometry = read_volume_file(file, "SimpleITKIO")
    np.testing.assert_array_equal(label, VOXELS.T.astype(np.uint8))
    np.testing.assert_allclose(geometry.affine, read_geometry(file, "NibabelIO").affine)


def test_the_worklist_tells_at_once_what_itk_does_not_open(
    no_paths: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sheared = PLACE.copy()
    sheared[0, 1] = 0.4
    write_nifti2(no_paths / "scans" / "two.nii", codes=(0, 2))
    options = ["--labels", "organ", "--slices_per_volume", "1", "--axis", "0", "-np", "1"]
    make = ["make", "scans", "--selector", "fixed", *options]
    assert worklist([*make, "-o", "fine"]) == 0
    assert "cannot be opened" not in caplog.text
    for name in ("images/two_0000", "labels/two"):
        assert sitk.ReadImage(str(no_paths / "fine" / f"{name}.nii.gz")).GetSize() == SHAPE
    nibabel.save(nibabel.Nifti1Image(VOXELS.astype("f4"), sheared), no_paths / "scans/sheared.nii")
    for more in (["--dry_run"], []):
        caplog.clear()
        assert worklist([*make, "-o", "camp", *more]) == 0
        assert "1 images cannot be opened by ITK-based programs" in caplog.text
        assert "sheared.nii;" in caplog.text
