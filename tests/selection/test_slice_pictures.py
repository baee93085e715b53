from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BaseMaker
from matplotlib.figure import Figure
from matplotlib.image import imread
from sparse_datasets import make_dataset

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.selection.slice_pictures import add_legend, draw_predictions, draw_selection
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


@pytest.mark.parametrize(
    ("labels", "extra", "expected"),
    [
        ({"background": 0, "a": 1, "b": 2, "ignore": 3}, {}, ["a", "b"]),
        (
            {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3},
            {"regions_class_order": [1, 2]},
            ["whole", "whole, core"],
        ),
        (
            {"background": 0} | {f"part {i}": i for i in range(1, 31)},
            {},
            [*(f"part {i}" for i in range(1, 18)), "and 13 more"],
        ),
    ],
)
def test_the_legend_names_every_colour(
    make_base: BaseMaker, labels: dict[str, Any], extra: dict[str, Any], expected: list[str]
) -> None:
    figure = Figure()
    add_legend(figure, RawDataset.open(make_base(num_train=1, labels=labels, extra=extra)))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == expected
