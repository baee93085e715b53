"""Pictures of a sparse data set and of predictions on its test cases."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.data.slice_drawing import (
    add_legend,
    draw_slice,
    gray_pixels,
    overlaid,
    spread,
)
from nnunet_sparse.data.sliced_volume import SlicedVolume, read_sliced_volume
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.figures import save_figure

_DIMMED = 0.45
_MARK_COLOR = label_color(5)


def draw_selection(folder: Path, output: Path, num_cases: int = 3, num_slices: int = 6) -> None:
    """Show which slices of a sparse data set are annotated.

    Above, side views of some volumes, in which only the annotated planes are bright and carry
    their labels; in the middle annotated slices of the first one; below, one row per volume with a
    mark for every annotated slice.

    Parameters
    ----------
    folder
        Folder of the sparse data set.
    output
        PNG file to be written.
    num_cases
        Number of side views.
    num_slices
        Number of slices shown.
    """
    dataset = RawDataset.open(folder)
    selection = Selection.read(folder / SELECTION_FILE)
    names = sorted(selection.cases)
    shown_cases = [dataset.training[name] for name in names[:num_cases]]
    volumes = [
        read_sliced_volume(dataset, case, case.label, selection.axis) for case in shown_cases
    ]
    figure = Figure(figsize=(11, 10), layout="constrained")
    parts: Any = figure.subfigures(3, 1, height_ratios=[1.0, 0.8, 0.9])
    top, middle, bottom = parts
    for axes, name, volume in zip(_row(top, num_cases), names, volumes, strict=False):
        case = selection.cases[name]
        _draw_side_view(axes, volume, case.slices)
        axes.set_title(f"{name}\n{len(case.slices)} of {case.num_slices} slices", fontsize=9)
    shown = spread(selection.cases[names[0]].slices, num_slices)
    for axes, i in zip(_row(middle, num_slices), shown, strict=False):
        draw_slice(axes, volumes[0], volumes[0].image[i], volumes[0].label[i])
        axes.set_title(f"slice {i}", fontsize=9)
    middle.suptitle(f"Annotated slices of {names[0]}", fontsize=10)
    draw_marks(bottom.subplots(), selection)
    add_legend(figure, dataset)
    figure.suptitle(
        f"{dataset.name}: {selection.budget} annotated slices in {len(names)} volumes", fontsize=11
    )
    save_figure(figure, output)


def draw_predictions(folder: Path, predictions: Path, output: Path, num_cases: int = 3) -> None:
    """Show predictions beside the truth, on one slice of some test cases.

    The slice is the one with most foreground in the truth.

    Parameters
    ----------
    folder
        Folder of a data set with ``imagesTs`` and ``labelsTs``.
    predictions
        Folder of predicted labels, named like the test cases.
    output
        PNG file to be written.
    num_cases
        Number of test cases shown.
    """
    dataset = RawDataset.open(folder)
    selection = Selection.read(folder / SELECTION_FILE)
    cases = [case for case in dataset.test.values() if case.label is not None][:num_cases]
    figure = Figure(figsize=(8, 2.7 * len(cases) + 0.8), layout="constrained")
    grid = figure.subplots(len(cases), 3, squeeze=False)
    for row, case in zip(grid, cases, strict=True):
        truth = read_sliced_volume(dataset, case, case.label, selection.axis)
        file = predictions / f"{case.case_id}{dataset.file_ending}"
        predicted = read_sliced_volume(dataset, case, file, selection.axis)
        i = int(np.argmax((truth.label > 0).sum(axis=(1, 2))))
        for axes, label in zip(row, (None, truth.label[i], predicted.label[i]), strict=True):
            draw_slice(axes, truth, truth.image[i], label)
        row[0].set_ylabel(f"{case.case_id}\nslice {i}", fontsize=9)
    for axes, title in zip(grid[0], ("image", "truth", "prediction"), strict=True):
        axes.set_title(title, fontsize=10)
    add_legend(figure, dataset)
    save_figure(figure, output)


def _row(figure: SubFigure, columns: int) -> Sequence[Axes]:
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for one in axes:
        one.set_axis_off()
    return list(axes)


def _draw_side_view(axes: Axes, volume: SlicedVolume, slices: Sequence[int]) -> None:
    """Draw the plane across the slices that shows most foreground, superior upwards if z rises."""
    known = np.zeros(len(volume.label), dtype=bool)
    known[list(slices)] = True
    foreground = (volume.label > 0) & known[:, None, None]
    column = int(np.argmax(foreground.sum(axis=(0, 2))))
    pixels = gray_pixels(volume.image[:, column], volume.window)
    drawn = overlaid(pixels, np.where(known[:, None], volume.label[:, column], 0))
    drawn[~known] = pixels[~known] * _DIMMED
    height, _, width = volume.spacing_mm
    axes.imshow(drawn, aspect=height / width, origin="lower", interpolation="nearest")


def draw_marks(
    axes: Axes, selection: Selection, num_slices: Mapping[str, int] | None = None
) -> None:
    """Draw one row per volume with a mark for every annotated slice.

    Parameters
    ----------
    axes
        Where it is drawn.
    selection
        Annotated slices.
    num_slices
        Length of each volume; None for those that are annotated.
    """
    lengths = num_slices or {name: case.num_slices for name, case in selection.cases.items()}
    names = sorted(lengths)
    for row, name in enumerate(names):
        axes.broken_barh([(-0.5, lengths[name])], (row - 0.4, 0.8), color="#dddddd")
        if name in selection.cases:
            marks = [(i - 0.5, 1) for i in selection.cases[name].slices]
            axes.broken_barh(marks, (row - 0.4, 0.8), color=_MARK_COLOR)
    step = max(1, len(names) // 12)
    axes.set_yticks(range(0, len(names), step), names[::step], fontsize=7)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"slice along axis {selection.axis} (blue: annotated)", fontsize=9)
