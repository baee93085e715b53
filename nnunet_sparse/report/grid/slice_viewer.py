"""Volumes as pictures that a page can leaf through: image, truth, annotation, predictions."""

import base64
import io
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.declared_labels import label_names
from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, Case, RawDataset
from nnunet_sparse.data.slice_drawing import spread
from nnunet_sparse.data.sliced_volume import SlicedVolume, read_sliced_volume, windowed
from nnunet_sparse.grid.cell_kinds import DENSE
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.paired_statistics import pooled_iou
from nnunet_sparse.report.grid.panels import Panel
from nnunet_sparse.selection.budget import Budget
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)

_MAX_SIDE = 160
_MAX_SLICES = 48
_OPACITY = 150
# what nobody has annotated: value, and colour
_NOT_ANNOTATED = -1
_UNKNOWN = (128, 128, 128, _OPACITY)


@dataclass(frozen=True)
class ViewedVolume:
    """A volume of the viewer.

    Attributes
    ----------
    title
        Case, and what it is used for.
    group
        Title of its task and way of training.
    task, configuration
        What it can be filtered by.
    slices
        Indices of the slices that are shown.
    columns
        Slices in a row of each picture.
    size
        Width and height of a slice in pixels.
    aspect
        Height of a pixel by its width.
    image
        Picture of all slices, as a data address.
    layers
        Names and pictures of what can be laid over it.
    legend
        Names and colours of the labels, and of what is not annotated where there is any.
    """

    title: str
    group: str
    task: str
    configuration: str
    slices: tuple[int, ...]
    columns: int
    size: tuple[int, int]
    aspect: float
    image: str
    layers: tuple[tuple[str, str], ...]
    legend: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """What the page reads."""
        return dict(vars(self))


def viewed_volumes(grid: Grid, shown: Sequence[Panel], num_cases: int) -> list[ViewedVolume]:
    """Test cases with predictions, and training cases with annotation, of each task.

    Shown are the test cases in the middle and at the low end of the mean IoU of all trainings, and
    the first annotated volumes; predictions are those of dense annotation and of the best training
    of each selector.

    Parameters
    ----------
    grid
        The experiment.
    shown
        Panels, with one result of each training.
    num_cases
        Test cases of each task and way of training; half as many training cases.
    """
    found = []
    for panel in shown if num_cases else ():
        chosen = _trainings(grid, panel)
        found += _test_volumes(grid, panel, chosen, num_cases)
        found += _training_volumes(grid, panel, chosen, math.ceil(num_cases / 2))
    return found


def _trainings(grid: Grid, panel: Panel) -> dict[str, Result]:
    """Dense annotation, and the best training of each selector and interpolation."""
    dense = {r.dataset for r in panel.results if r.kind == DENSE}
    best: dict[str, Result] = {}
    for r in panel.results:
        is_there = bool(r.dataset) and (grid.paths.raw / r.dataset).is_dir()
        if r.batched_IoU is None or not is_there or (r.kind != DENSE and r.dataset in dense):
            continue
        name = DENSE if r.kind == DENSE else r.variant.text("interpolation") or _selector(r)
        if name not in best or r.batched_IoU > (best[name].batched_IoU or 0):
            best[name] = r
    return {
        name if name == DENSE else f"{name}, {_amount(r.variant.amount)}, s {r.variant.s:g}": r
        for name, r in best.items()
    }


def _selector(result: Result) -> str:
    variant = result.variant
    scope = f" ({variant.scope})" if variant.scope != "volume" else ""
    return variant.way_of_choosing + scope + " in rounds" * (variant.rounds is not None)


def _amount(amount: Budget) -> str:
    return f"rho {amount.text}" if amount.kind == "rho" else amount.text


def _test_volumes(
    grid: Grid, panel: Panel, chosen: Mapping[str, Result], num_cases: int
) -> list[ViewedVolume]:
    if not chosen:
        return []
    raw = RawDataset.open(grid.paths.raw / next(iter(chosen.values())).dataset)
    axis = Selection.read(raw.folder / SELECTION_FILE).axis
    names = sorted(case for case, files in raw.test.items() if files.label is not None)
    predictions = {name: _predictions(grid, r) for name, r in chosen.items()}
    found = []
    for case_id, iou in _middle_and_worst(panel.results, names, num_cases):
        volume = _volume(raw, raw.test[case_id], axis)
        if volume is None:
            continue
        layers = {"truth": volume.label}
        for name, folder in predictions.items():
            file = folder / f"{case_id}{raw.file_ending}"
            label = _label(file, raw, axis, volume) if file.is_file() else None
            if label is not None:
                layers[name] = label
        title = f"{case_id} (test, IoU {iou:.2f})"
        found.append(_view(title, panel, volume, layers, label_legend(raw)))
    return found


def _volume(dataset: RawDataset, case: Case, axis: int) -> SlicedVolume | None:
    """Image and truth of a case; None, with a warning, if one of them cannot be read."""
    try:
        return read_sliced_volume(dataset, case, case.label, axis)
    except SparseError as error:
        files = ", ".join(str(file) for file in (*case.images, case.label))
        logger.warning("left out of the viewer: one of %s: %s", files, first_line(error))
        return None


def _label(file: Path, dataset: RawDataset, axis: int, volume: SlicedVolume) -> np.ndarray | None:
    """Label of a volume, slices first; None, with a warning, if it cannot be shown."""
    try:
        label = np.moveaxis(read_label(file, dataset.reader()), axis, 0)
        if label.shape == volume.label.shape:
            return label
        reason = f"{file} has the shape {label.shape}, its image {volume.label.shape}"
    except SparseError as error:
        reason = str(error)
    logger.warning("left out of the viewer: %s", reason)
    return None


def _predictions(grid: Grid, result: Result) -> Path:
    return GridFolder(grid.folder).predictions(result.key)


def _middle_and_worst(
    results: Sequence[Result], names: Sequence[str], count: int
) -> list[tuple[str, float]]:
    """Test cases and their mean IoU: those around the median, then those with the lowest."""
    whole = [r for r in results if r.counts.shape[-2] == len(names)]
    if not whole:
        return []
    ious = _defined_mean(np.array([_of_cases(r) for r in whole]))
    order = [int(i) for i in np.argsort(ious) if np.isfinite(ious[i])]
    middle = sorted(order, key=lambda i: abs(order.index(i) - len(order) / 2))
    picked = list(dict.fromkeys([*middle[: math.ceil(count / 2)], *order]))[:count]
    return [(names[i], float(ious[i])) for i in picked]


def _of_cases(result: Result) -> np.ndarray:
    """IoU of each test case; the mean of its labels."""
    ious = pooled_iou(result.counts[..., None, :])
    if ious.ndim == 1:
        return ious
    return _defined_mean(ious)


def _defined_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of the values that are not NaN; NaN where all are."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _training_volumes(
    grid: Grid, panel: Panel, chosen: Mapping[str, Result], num_cases: int
) -> list[ViewedVolume]:
    """Annotated volumes of the trainings that are shown, with the truth."""
    sparse = {name: r for name, r in chosen.items() if r.kind != DENSE}
    if not sparse:
        return []
    raws = {name: RawDataset.open(grid.paths.raw / r.dataset) for name, r in sparse.items()}
    selections = {n: Selection.read(raw.folder / SELECTION_FILE) for n, raw in raws.items()}
    base = RawDataset.open(grid.paths.raw / next(iter(selections.values())).base)
    common = set.intersection(*(set(selection.cases) for selection in selections.values()))
    found = []
    for case_id in sorted(common)[:num_cases]:
        axis = next(iter(selections.values())).axis
        volume = _volume(base, base.training[case_id], axis)
        if volume is None:
            continue
        layers = {"truth": volume.label}
        for name, raw in raws.items():
            file = raw.training[case_id].label
            label = None if file is None else _label(file, raw, axis, volume)
            if label is not None:
                signed = label.astype(np.int64)
                ignore = raw.ignore_label
                layers[f"annotation: {name}"] = np.where(signed == ignore, _NOT_ANNOTATED, signed)
        title = f"{case_id} (training)"
        found.append(_view(title, panel, volume, layers, label_legend(base)))
    return found


def label_legend(dataset: RawDataset) -> tuple[tuple[str, str], ...]:
    """Names and colours of the label values; a value of several regions has all their names."""
    names = label_names(dataset.dataset_json["labels"])
    return tuple((", ".join(found), label_color(value)) for value, found in names.items())


def _view(
    title: str,
    panel: Panel,
    volume: SlicedVolume,
    layers: Mapping[str, np.ndarray],
    legend: tuple[tuple[str, str], ...],
) -> ViewedVolume:
    step = max(1, math.ceil(max(volume.image.shape[1:]) / _MAX_SIDE))
    slices = spread(range(len(volume.image)), _MAX_SLICES)
    columns = math.ceil(math.sqrt(len(slices)))
    image = _mosaic([_gray(volume, i)[::step, ::step] for i in slices], columns)
    height, width = volume.image[0][::step, ::step].shape
    if any((label == _NOT_ANNOTATED).any() for label in layers.values()):
        legend = (*legend, ("not annotated", "#{:02x}{:02x}{:02x}".format(*_UNKNOWN)))
    pictures = [
        (name, _address(_mosaic([_coloured(label[i])[::step, ::step] for i in slices], columns)))
        for name, label in layers.items()
    ]
    return ViewedVolume(
        title,
        panel.title,
        panel.task,
        panel.configuration,
        tuple(int(i) for i in slices),
        columns,
        (width, height),
        float(volume.spacing_mm[1] / volume.spacing_mm[2]),
        _address(image),
        tuple(pictures),
        legend,
    )


def _gray(volume: SlicedVolume, index: int) -> np.ndarray:
    shares = windowed(volume.image[index], volume.window)
    pixels: np.ndarray = (255 * np.nan_to_num(shares)).astype(np.uint8)
    return pixels


def _coloured(label: np.ndarray) -> np.ndarray:
    """(y, x, 4) colours of labels; background is clear, what is not annotated grey."""
    found = np.zeros((*label.shape, 4), np.uint8)
    for value in np.unique(label):
        if value == _NOT_ANNOTATED:
            found[label == value] = _UNKNOWN
        elif value > 0:
            text = label_color(int(value)).lstrip("#")
            found[label == value] = (*bytes.fromhex(text), _OPACITY)
    return found


def _mosaic(slices: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Slices side by side in rows."""
    rows = math.ceil(len(slices) / columns)
    empty = np.zeros_like(slices[0])
    padded = [*slices, *[empty] * (rows * columns - len(slices))]
    return np.concatenate(
        [np.concatenate(padded[r * columns : (r + 1) * columns], axis=1) for r in range(rows)]
    )


def _address(pixels: np.ndarray) -> str:
    """PNG as a data address."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
