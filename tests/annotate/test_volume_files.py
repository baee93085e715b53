import gzip
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunet_sparse.annotate import volume_files as module
from nnunet_sparse.annotate.volume_files import read_voxels
from nnunet_sparse.system.errors import SparseError


def written(file: Path, voxels: np.ndarray) -> bytes:
    """Write a volume, (z, y, x); what the compressed file holds."""
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), file)  # type: ignore[attr-defined]
    return gzip.decompress(file.read_bytes())


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32", ">i2"])
@pytest.mark.parametrize("pieces", [(5, 7), (64, 4096), (10**6, 10**6)])
@pytest.mark.parametrize("is_flat", [False, True])
def test_voxels_are_those_of_nibabel(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: str,
    pieces: tuple[int, int],
    is_flat: bool,
) -> None:
    monkeypatch.setattr(module, "_PACKED", pieces[0])
    monkeypatch.setattr(module, "_PIECE", pieces[1])
    voxels = np.random.default_rng(0).integers(0, 1 if is_flat else 200, (5, 7, 6)).astype(dtype)
    file = tmp_path / "a.nii.gz"
    content = written(file, voxels)
    np.testing.assert_array_equal(read_voxels(file), voxels)
    # compressed in several parts, as programs with several threads do
    parts = [gzip.compress(content[:400]), gzip.compress(content[400:])]
    monkeypatch.setattr(module, "check_complete", lambda _: None)  # reads with nibabel
    file.write_bytes(b"".join(parts))
    np.testing.assert_array_equal(read_voxels(file), voxels)


@pytest.mark.parametrize("harm", ["cut", "changed", "check"])
def test_damaged_images_are_refused(tmp_path: Path, harm: str) -> None:
    file = tmp_path / "a.nii.gz"
    written(file, np.random.default_rng(0).integers(0, 9, (5, 7, 6)).astype(np.int16))
    content = bytearray(file.read_bytes())
    if harm == "cut":
        del content[len(content) // 2 : -8]
    else:
        place = len(content) // 2 if harm == "changed" else len(content) - 8
        content[place] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(SparseError, match=r"a\.nii\.gz"):
        read_voxels(file)


def test_what_two_threads_read_with_is_imported_before_them() -> None:
    lines = "import sys, nnunet_sparse.annotate.volume_files\nassert 'nibabel' in sys.modules"
    subprocess.run([sys.executable, "-c", lines], check=True)
