import json

import numpy as np
import pytest
from conftest import BaseMaker
from matplotlib.figure import Figure

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.slice_drawing import draw_slice
from nnunet_sparse.data.sliced_volume import SlicedVolume, read_sliced_volume, windowed


def sliced(make_base: BaseMaker, axis: int, ending: str, **geometry: object) -> SlicedVolume:
    folder = make_base(num_train=1, ending=ending, **geometry)
    if ending == ".tif":
        (folder / "imagesTr" / "tr_00.json").write_text(json.dumps({"spacing": [4, 1, 2]}))
    dataset = RawDataset.open(folder)
    case = dataset.training["tr_00"]
    return read_sliced_volume(dataset, case, case.label, axis)


@pytest.mark.parametrize(("axis", "spacing"), [(0, [4, 1, 2]), (1, [1, 4, 2]), (2, [2, 4, 1])])
@pytest.mark.parametrize("ending", [".nii.gz", ".tif"])
def test_the_spacing_goes_with_the_axes(
    make_base: BaseMaker, ending: str, axis: int, spacing: list[float]
) -> None:
    geometry = {"spacing": (2.0, 1.0, 4.0)} if ending == ".nii.gz" else {}
    volume = sliced(make_base, axis, ending, **geometry)
    assert volume.spacing_mm == pytest.approx(spacing)
    assert volume.image.shape == volume.label.shape
    axes = Figure().subplots()
    draw_slice(axes, volume, volume.image[0], volume.label[0])
    assert axes.get_aspect() == pytest.approx(spacing[1] / spacing[2])


def test_a_window() -> None:
    assert windowed(np.array([-1, 0, 1, 2, 3]), (0, 2)).tolist() == [0, 0, 0.5, 1, 1]
