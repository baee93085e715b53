"""Drawing slices and their labels with matplotlib."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nnunet_sparse.data.declared_labels import label_names
from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.sliced_volume import SlicedVolume, windowed

_INCHES_PER_LETTER, _INCHES_OF_PATCH = 0.075, 0.6
_LEGEND_ENTRIES = 17
_OPACITY = 0.6


def draw_slice(
    axes: Any, volume: SlicedVolume, image: np.ndarray, label: np.ndarray | None
) -> None:
    """Draw a slice (y, x) of a volume, and its label over it."""
    height, width = volume.spacing_mm[1:]
    pixels = gray_pixels(image, volume.window)
    axes.imshow(pixels if label is None else overlaid(pixels, label), aspect=height / width)
    axes.set(xticks=[], yticks=[])


def gray_pixels(pixels: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """RGB (y, x, 3) in 0..1 of a slice (y, x)."""
    return np.repeat(windowed(pixels, window)[..., None], 3, axis=-1)


def overlaid(pixels: np.ndarray, label: np.ndarray) -> np.ndarray:
    """RGB pixels with a label (y, x) in its colours over them."""
    result = pixels.copy()
    for value in np.unique(label[label > 0]):
        color = np.array(mpl.colors.to_rgb(label_color(int(value))))
        mask = label == value
        result[mask] = (1 - _OPACITY) * result[mask] + _OPACITY * color
    return result


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
