"""Pictures of a sparse data set and of predictions on its test cases.

The first seven labels are drawn in the Okabe-Ito colours, which stay apart for colour-blind
readers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nnunet_sparse.data.declared_labels import label_names
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.data.label_files import find_reader, read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, Case, RawDataset
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.figures import save_figure

_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
# for data sets with more labels
_MORE_COLORS = (
    "#8C564B",
    "#17BECF",
    "#9467BD",
    "#BCBD22",
    "#E377C2",
    "#1B3A93",
    "#98DF8A",
    "#FF9896",
    "#5B5B00",
    "#C5B0D5",
    "#005F5F",
)
_INCHES_PER_LETTER, _INCHES_OF_PATCH = 0.075, 0.6
_OPACITY = 0.6
_DIMMED = 0.45
_LEGEND_ENTRIES = 17
# soft tissue
_CT_WINDOW_HU = (-150.0, 250.0)


@dataclass(frozen=True)
class SlicedVolume:
    """Image and label with the slice axis first, voxel sizes in mm, and what is black and white."""

    image: np.ndarray
    label: np.ndarray
    spacing_mm: np.ndarray
    window: tuple[float, float]


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
    volumes = [
        read_volume(dataset, dataset.training[name], dataset.training[name].label, selection.axis)
        for name in names[:num_cases]
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
        truth = read_volume(dataset, case, case.label, selection.axis)
        file = predictions / f"{case.case_id}{dataset.file_ending}"
        predicted = read_volume(dataset, case, file, selection.axis)
        i = int(np.argmax((truth.label > 0).sum(axis=(1, 2))))
        for axes, label in zip(row, (None, truth.label[i], predicted.label[i]), strict=True):
            draw_slice(axes, truth, truth.image[i], label)
        row[0].set_ylabel(f"{case.case_id}\nslice {i}", fontsize=9)
    for axes, title in zip(grid[0], ("image", "truth", "prediction"), strict=True):
        axes.set_title(title, fontsize=10)
    add_legend(figure, dataset)
    save_figure(figure, output)


def read_volume(dataset: RawDataset, case: Case, label: Path | None, axis: int) -> SlicedVolume:
    """First channel and label of a case."""
    assert label is not None
    reader = dataset.reader()
    image, _ = find_reader(reader)().read_images([str(path) for path in case.images])
    affine = read_geometry(case.images[0], reader).affine
    spacing = np.ones(3) if affine is None else np.linalg.norm(affine[:3, :3], axis=0)
    channel = str(next(iter(dataset.channel_names.values())))
    return SlicedVolume(
        np.moveaxis(image[0], axis, 0),
        np.moveaxis(read_label(label, reader), axis, 0),
        np.array([spacing[axis], *np.delete(spacing, axis)]),
        window_of(image[0], channel),
    )


def window_of(image: np.ndarray, channel_name: str) -> tuple[float, float]:
    """Intensities that are drawn black and white: soft tissue of a CT, else percentiles."""
    is_ct = channel_name.upper() == "CT"
    low, high = _CT_WINDOW_HU if is_ct else np.nanpercentile(image, (1, 99))
    return float(low), max(float(high), float(low) + 1e-6)


def _row(figure: Any, columns: int) -> Sequence[Any]:
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for one in axes:
        one.set_axis_off()
    return list(axes)


def draw_slice(
    axes: Any, volume: SlicedVolume, image: np.ndarray, label: np.ndarray | None
) -> None:
    """Draw a slice (y, x) of a volume, and its label over it."""
    height, width = volume.spacing_mm[1:]
    pixels = _gray(image, volume.window)
    axes.imshow(pixels if label is None else _overlay(pixels, label), aspect=height / width)
    axes.set(xticks=[], yticks=[])


def _draw_side_view(axes: Any, volume: SlicedVolume, slices: Sequence[int]) -> None:
    """Draw the plane across the slices that shows most foreground, superior upwards if z rises."""
    known = np.zeros(len(volume.label), dtype=bool)
    known[list(slices)] = True
    foreground = (volume.label > 0) & known[:, None, None]
    column = int(np.argmax(foreground.sum(axis=(0, 2))))
    pixels = _gray(volume.image[:, column], volume.window)
    drawn = _overlay(pixels, np.where(known[:, None], volume.label[:, column], 0))
    drawn[~known] = pixels[~known] * _DIMMED
    height, _, width = volume.spacing_mm
    axes.imshow(drawn, aspect=height / width, origin="lower", interpolation="nearest")


def draw_marks(
    axes: Any, selection: Selection, num_slices: Mapping[str, int] | None = None
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
            axes.broken_barh(marks, (row - 0.4, 0.8), color=_COLORS[4])
    step = max(1, len(names) // 12)
    axes.set_yticks(range(0, len(names), step), names[::step], fontsize=7)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"slice along axis {selection.axis} (blue: annotated)", fontsize=9)


def _gray(pixels: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """RGB in 0..1 of a slice."""
    return np.repeat(windowed(pixels, window)[..., None], 3, axis=-1)


def windowed(pixels: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Brightness in 0..1: what is black and white stands in the window."""
    low, high = window
    shares: np.ndarray = np.clip((pixels - low) / (high - low), 0, 1)
    return shares


def _overlay(pixels: np.ndarray, label: np.ndarray) -> np.ndarray:
    result = pixels.copy()
    for value in np.unique(label[label > 0]):
        color = np.array(mpl.colors.to_rgb(label_color(int(value))))
        mask = label == value
        result[mask] = (1 - _OPACITY) * result[mask] + _OPACITY * color
    return result


def label_color(value: int) -> str:
    """Colour of a label (from 1 on) as ``#RRGGBB``."""
    colors = _COLORS + _MORE_COLORS
    return colors[(value - 1) % len(colors)]


def add_legend(figure: Figure, dataset: RawDataset) -> None:
    """Name the labels' colours below a figure; a label of several regions has all their names."""
    names = label_names(dataset.dataset_json["labels"])
    shown = list(names)[:_LEGEND_ENTRIES]
    handles = [Patch(color=label_color(value), label=", ".join(names[value])) for value in shown]
    if len(names) > len(shown):
        handles.append(Patch(color="none", label=f"and {len(names) - len(shown)} more"))
    longest = max(len(str(handle.get_label())) for handle in handles)
    room = figure.get_figwidth() / (_INCHES_OF_PATCH + _INCHES_PER_LETTER * longest)
    columns = max(1, min(6, len(handles), int(room)))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)


def spread(slices: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of the slices, from the first to the last."""
    chosen = np.linspace(0, len(slices) - 1, min(count, len(slices))).round().astype(int)
    return [slices[i] for i in chosen]
