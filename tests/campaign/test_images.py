import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from published_trees import write_series
from tiny import write_volume

from nnunet_sparse.campaign.images import bring_image
from nnunet_sparse.errors import SparseError

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
