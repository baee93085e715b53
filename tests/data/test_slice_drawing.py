from typing import Any

import pytest
from conftest import BaseMaker
from matplotlib.figure import Figure

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.slice_drawing import add_legend


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
