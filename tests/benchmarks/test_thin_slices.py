from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import BaseMaker

from nnunet_sparse.system.errors import SparseError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_nth_slice_in_its_place(
    make_base: BaseMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from thin_slices import thin

    base = make_base("Dataset010_Left", num_train=2, num_test=1, shapes=[(10, 6, 5)])
    assert thin(base, tmp_path, 4, 110) == "Dataset110_LeftEvery4"
    new = tmp_path / "Dataset110_LeftEvery4"
    names = sorted(str(path.relative_to(new)) for path in new.rglob("*.nii.gz"))
    assert names == sorted(str(path.relative_to(base)) for path in base.rglob("*.nii.gz"))
    for name in names:
        before, after = (sitk.ReadImage(str(folder / name)) for folder in (base, new))
        array = sitk.GetArrayFromImage(before)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(after), array[[2, 6]])
        np.testing.assert_allclose(
            after.GetSpacing(), np.array(before.GetSpacing()) * [1, 1, 4], rtol=1e-6
        )
        place = before.TransformIndexToPhysicalPoint((1, 2, 6))
        assert after.TransformPhysicalPointToIndex(place) == (1, 2, 1)
    with pytest.raises(SparseError, match="Dataset110_LeftEvery4 exists"):
        thin(base, tmp_path, 4, 110)
