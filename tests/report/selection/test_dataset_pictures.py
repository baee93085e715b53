from pathlib import Path

import numpy as np
import pytest
from conftest import BaseMaker
from matplotlib.image import imread
from sparse_datasets import make_dataset

from nnunet_sparse.report.selection.dataset_pictures import draw_predictions, draw_selection
from nnunet_sparse.system.paths import NnUNetPaths


@pytest.mark.parametrize("axis", ["0", "2"])
def test_pictures_of_a_tiny_data_set(
    paths: NnUNetPaths, make_base: BaseMaker, tmp_path: Path, axis: str
) -> None:
    make_base(num_train=4)
    folder = make_dataset(paths, "4", rho=0.3, s=0.1, axis=axis).folder
    assert folder is not None
    draw_selection(folder, tmp_path / "a.png")
    draw_predictions(folder, folder / "labelsTs", tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        pixels = imread(tmp_path / name)
        assert min(pixels.shape[:2]) > 250
        # the colours of both labels are there
        for color in ((230, 159, 0), (86, 180, 233)):
            distance = np.abs(pixels[..., :3] - np.array(color) / 255).max(axis=-1)
            assert (distance < 0.02).any(), (name, color)
