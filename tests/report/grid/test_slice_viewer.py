import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import BaseMaker
from grid_fixtures import write_grid
from grid_results import result
from PIL import Image

from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.report.grid.panels import panels
from nnunet_sparse.report.grid.slice_viewer import (
    ViewedVolume,
    _defined_mean,
    label_legend,
    viewed_volumes,
)


def test_labels_that_are_regions(make_base: BaseMaker) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}
    folder = make_base(labels=labels, extra={"regions_class_order": [1, 2]})
    assert label_legend(RawDataset.open(folder)) == (
        ("whole", label_color(1)),
        ("whole, core", label_color(2)),
    )


def test_a_label_called_mean_has_a_colour(make_base: BaseMaker) -> None:
    folder = make_base(labels={"background": 0, "a": 2, "mean": 1})
    assert label_legend(RawDataset.open(folder)) == (
        ("mean", label_color(1)),
        ("a", label_color(2)),
    )


def write_selection(folder: Path) -> None:
    """Say that a data set is a sparse one of itself, in which one slice is annotated."""
    selection = {
        "base": folder.name,
        "variant": {"rho": 0.2, "s": 1.0, "selector": "fixed"},
        "axis": 0,
        "cases": {"tr_00": {"num_slices": 10, "slices": [1]}},
        "selector": {"parameters": {}},
    }
    (folder / "selection.json").write_text(json.dumps(selection))


def colours(volume: ViewedVolume, layer: str) -> set[tuple[int, ...]]:
    """What a layer is painted with."""
    data = base64.b64decode(dict(volume.layers)[layer].partition(",")[2])
    return set(Image.open(io.BytesIO(data)).convert("RGBA").getdata())


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_what_is_not_annotated_is_grey(tmp_path: Path, make_base: BaseMaker, dtype: type) -> None:
    labels = {"background": 0, "organ": 1, "ignore": 2}  # make_base draws 0, 1 and 2
    folder = make_base("Dataset004_A", num_test=2, dtype=dtype, labels=labels)
    write_selection(folder)
    results = [result(task="A", dataset=folder.name, counts=np.tile([1, 1, 1], (2, 1)))]
    test, training = viewed_volumes(write_grid(tmp_path), panels(results), 1)
    organ = tuple(bytes.fromhex(label_color(1)[1:]))
    annotation = colours(training, "annotation: fixed, rho 0.2, s 1")
    assert {pixel[:3] for pixel in annotation if pixel[3]} == {organ, (128, 128, 128)}
    assert training.legend == (("organ", label_color(1)), ("not annotated", "#808080"))
    assert test.legend == (("organ", label_color(1)),)


def test_what_cannot_be_read_is_left_out(
    tmp_path: Path, make_base: BaseMaker, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_base("Dataset004_A", num_test=2)
    write_selection(folder)
    grid = write_grid(tmp_path)
    counts = np.array([[1, 9, 9], [9, 1, 1]])  # the first case is the worse one
    selectors = ("fixed", "random")
    results = [
        result(task="A", dataset=folder.name, counts=counts, selector=name, key=name)
        for name in selectors
    ]
    predictions = [GridFolder(grid.folder).predictions(name) for name in selectors]
    for case_id in ("ts_00", "ts_01"):
        whole = (folder / "labelsTs" / f"{case_id}.nii.gz").read_bytes()
        for place in predictions:
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{case_id}.nii.gz").write_bytes(whole)
    truncated, other_shape = (place / "ts_00.nii.gz" for place in predictions)
    truncated.write_bytes(whole[:60])
    other_shape.write_bytes(whole)
    found = {
        v.title[:5]: [name for name, _ in v.layers]
        for v in viewed_volumes(grid, panels(results), 2)
    }
    shown = [f"{name}, rho 0.2, s 1" for name in selectors]
    assert found["ts_01"] == ["truth", *shown]
    assert found["ts_00"] == ["truth"]
    assert f"{truncated} cannot be read as a label" in caplog.text
    assert f"{other_shape} has the shape (7, 6, 5), its image (10, 6, 5)" in caplog.text
    # without its image, nothing of a case can be shown
    image = folder / "imagesTr" / "tr_00_0000.nii.gz"
    image.write_bytes(image.read_bytes()[:60])
    titles = [volume.title[:5] for volume in viewed_volumes(grid, panels(results), 2)]
    assert sorted(titles) == ["ts_00", "ts_01"]
    assert str(image) in caplog.text


def test_each_task_has_its_own_legend(tmp_path: Path, make_base: BaseMaker) -> None:
    names = ("Dataset004_A", "Dataset005_B")
    for name, labels in zip(names, ({"a": 1, "b": 2}, {"b": 1, "a": 2}), strict=True):
        write_selection(make_base(name, num_test=2, labels={"background": 0, **labels}))
    grid = write_grid(tmp_path)
    counts = np.tile([1, 1, 1], (2, 1))
    results = [result(task=name[-1], dataset=name, counts=counts) for name in names]
    found = viewed_volumes(grid, panels([*results, result(task="gone")]), 1)
    assert [(v.task, v.configuration, v.group) for v in found[::2]] == [
        ("A", "2d", "A, 2d"),
        ("B", "2d", "B, 2d"),
    ]
    assert found[0].legend == (("a", label_color(1)), ("b", label_color(2)))
    assert found[2].legend == found[3].legend == (("b", label_color(1)), ("a", label_color(2)))
    assert [name for name, _ in found[1].layers] == ["truth", "annotation: fixed, rho 0.2, s 1"]
    assert viewed_volumes(grid, panels(results), 0) == []


def test_mean_of_what_is_defined() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan]])
    np.testing.assert_array_equal(_defined_mean(values), [2.0, 2.0, np.nan])
